//! Plans and sends the calls that make a target's account match: Glance, NetSapiens, CRM.COM.
