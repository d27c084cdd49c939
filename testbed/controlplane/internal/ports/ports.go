// Package ports finds free TCP ports on the loopback interface.
package ports

import (
	"fmt"
	"net"
)

// Reserve returns a free port of 127.0.0.1 that the kernel gives to nobody else who asks for any
// free port, for the next minute or so.
//
// A port that was merely listened on and closed is free at once, and another program that starts at
// the same moment may get it. A port with a connection in TIME_WAIT is not handed out, while a server
// that asks for it by number still gets it, because Go's listeners set SO_REUSEADDR.
func Reserve() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()

	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	// The side that closes first is the one that stays in TIME_WAIT: it must be the server's.
	if err := server.Close(); err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, nil
}
