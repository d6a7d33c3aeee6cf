//! A tree written so that its nesting shows: `(or a:pr (and b:pr c:pr))`.

use crate::{Filter, Literal};

pub(super) fn shape(filter: &Filter) -> String {
    match filter {
        Filter::And(filters) => format!("(and {})", shapes(filters)),
        Filter::Or(filters) => format!("(or {})", shapes(filters)),
        Filter::Not(inner) => format!("(not {})", shape(inner)),
        Filter::Compare(attribute, operator, literal) => format!("{attribute}:{operator}:{}", kind(literal)),
        Filter::Present(attribute) => format!("{attribute}:pr"),
        Filter::ValuePath(attribute, inner) => format!("{attribute}[{}]", shape(inner)),
        Filter::ValuePathCompare { attribute, filter, sub_attribute, operator, literal } => {
            let sub = sub_attribute.as_deref().unwrap_or("-");
            format!("{attribute}[{}]/{sub}:{operator}:{}", shape(filter), kind(literal))
        }
        Filter::ValuePathPresent { attribute, filter, sub_attribute } => {
            let sub = sub_attribute.as_deref().unwrap_or("-");
            format!("{attribute}[{}]/{sub}:pr", shape(filter))
        }
    }
}

fn shapes(filters: &[Filter]) -> String {
    filters.iter().map(shape).collect::<Vec<_>>().join(" ")
}

fn kind(literal: &Literal) -> String {
    match literal {
        Literal::String(text) => format!("'{text}'"),
        Literal::Number(number) => format!("#{number}"),
        Literal::Boolean(value) => format!("?{value}"),
        Literal::Null => "nothing".to_owned(),
    }
}
