package ports

import (
	"fmt"
	"net"
	"testing"
)

func TestAReservedPortCanBeListenedOnAndIsNotReservedTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 1000 {
		port, err := Reserve()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Fatalf("port %d was handed out twice", port)
		}
		seen[port] = true
	}
	for port := range seen {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatalf("a reserved port is not free: %v", err)
		}
		listener.Close()
	}
}
