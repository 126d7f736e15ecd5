// Package egress decides which addresses Slipway connects to on a tenant's behalf.
//
// In: the ranges that an operator allows. Out: dialers and HTTP transports that refuse loopback, link-local, multicast and
// metadata addresses unless a range names them. It looks at the address of each connection, after names were resolved and
// redirects followed, so neither leads around it. It never resolves a name itself and knows nothing of credentials.
package egress
