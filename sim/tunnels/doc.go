// Package tunnels is the test of real encryptors on keys of a real network, by
// the commands that a user types: the program is built, the nodes of the network
// tokyo run as processes of it, two applications are admitted with qsc sae add at
// nodes that no link joins, and qsc psk runs at both ends of a WireGuard pair and
// of a strongSwan pair in network namespaces, while pings go both ways.
//
// It holds tests and their harness only. It needs root, TUN devices and the
// programs that app/tunnel/tunneltest names, and says so where they are missing.
// What the encryptors' rooms do when single steps fail is tested in app/tunnel.
//
//	QSC_LONG=1   minutes of rotations, over WireGuard's own new handshakes
//	QSC_LOG=1    what qsc psk and the supervisor of the nodes say, on standard error
package tunnels
