// Package manage runs the control layer: the controller that computes routes
// and rates (Core, pure), the process around it (Server: bus, lease, store) and
// the node's side (Agent, which is the node's keymgmt.RouteSource).
//
// It sees no key, no pad position and no consent, and nothing on its bus needs
// to last: a controller rebuilds all it knows from the nodes' reports. The bus
// is protected by TLS 1.3 with a hybrid post-quantum key exchange, which is
// computational; keys and data never take it. It runs no consensus protocol: the
// leader is whoever holds one row of the store, and its epoch fences every
// table.
package manage
