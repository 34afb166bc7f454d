package load

import "net"

// sourceAddr is the address that client number n of a crowd connects from: Linux has the whole of 127.0.0.0/8.
func sourceAddr(n int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+n/perAddress))}
}
