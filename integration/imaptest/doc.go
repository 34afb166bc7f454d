// Package imaptest runs the scripts of Dovecot's imaptest, in a form that only reads, against an IMAP server.
//
// A script is a header of "key: value" lines, an empty line, then commands with the replies to expect:
//
//	ok CMD | no CMD | bad CMD | "" CMD   a command and the status it must end with ("" is any)
//	CMD ... ok [code]                    the same in two lines, to compare the status line's beginning
//	tag1 CMD ... tag1 ok                 pipelined: the commands of a run of tags are sent together
//	* reply                              an untagged reply that must come, in any order
//	! reply                              an untagged reply that must not come
//
// With "connections: n" each line begins with a connection's number. Replies are compared as parsed lists:
// words without regard to case, literals ({{{ ... }}}: line ends become CRLF; ~{{{ ... }}}: as they stand) byte by
// byte. $name takes its value from the first reply it meets, $tag is the command's tag, a lone $ is anything, $$ is a
// dollar sign. A list may begin with directives: $!unordered[=n] (elements, or groups of n, in any order, others may be
// there too), $!ordered, $!extra, $!noextra, $!ignore=x (allowed beside $!noextra), $!ban=x. Without directives these lists are
// not ordered: the items of FETCH and STATUS, the attributes of LIST and LSUB, FLAGS (complete, but for \Recent).
package imaptest
