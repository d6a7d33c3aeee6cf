//! The grammar from outside: text in, tree or error out.

mod clients;
mod errors;
mod filters;
mod limits;
mod names;
mod paths;
mod properties;
mod shape;
