-- The id of the user that a credential stands for (RFC 7644 section 3.11); NULL for that of an identity provider.
ALTER TABLE credential ADD COLUMN subject TEXT;
