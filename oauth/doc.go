// Package oauth gets access to a mail account by OAuth 2.0 (RFC 6749): the login in a web browser, access tokens that are renewed in time, and the SASL
// mechanisms that carry them.
//
// It knows no configuration, no terminal and no IMAP connection, and nothing in the project but the program itself knows it: without it the other packages
// build and work, and accounts log in by password.
//
// Secrets are the client's secret, the authorization code, the PKCE verifier, and both kinds of tokens. They go to the token endpoint and into the SASL
// exchange, and refresh tokens into the caller's Store; no error's text holds one.
package oauth
