//go:build !linux

package main

import "errors"

// dropPageCache is not possible here.
func dropPageCache(string) (how string, err error) {
	return "", errors.New("not possible on this system")
}
