// Package deflate compresses the two directions of a connection (RFC 1951, for COMPRESS=DEFLATE, RFC 4978): what has arrived can be read at once, and what was written is sent at once.
package deflate
