module doclusteraccess.dev/testbed/consumers/probe

go 1.25.0
