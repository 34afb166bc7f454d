// Package discover finds the IMAP server of an e-mail address: in a table of large services, or from what the address's domain makes known: its mail
// exchangers, a configuration for mail programs as Thunderbird reads it, and the service records of RFC 6186 and 8314.
//
// Only HTTPS and DNS are asked, with bounds on time and bytes, and no password is ever sent. Nothing in the project but the program itself knows this
// package: without it users type the name of their server.
package discover
