//go:build !unix

package load

import "time"

// clientCPU is not known here.
func clientCPU() time.Duration { return 0 }
