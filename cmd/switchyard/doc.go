// Switchyard is a layer-4 load balancer for TLS: it reads the ClientHello of a connection without decrypting it,
// chooses a pool by the server name in it, and carries the bytes to a backend as they are.
//
//	file ─┬ configs.Load ──┬── check    every mistake, or that there is none
//	      │                └── explain  one decision of the routing table, with its reasons
//	      └ control.Load ───── run      balancer.New ── Manager.Start ── admin.New ── signals ── Shutdown
//	                                                                        ▲
//	socket ─ admin.Client ──── status, reload, rollback, routes, pools, connections, drain, ready, top
//	bytes ─ peek.Parser ────── peek     what a hello says
//	        demo               backends of its own ── run's own path ── handshakes through it
//	        bench              package bench
//
// This package is flags, signals and wiring. What it prints to standard output is data; everything else it has to
// say goes to standard error. Exit status: 0 done, 1 failed, 2 bad usage, 3 bad configuration.
package main

//go:generate go run . man --markdown ../../docs/cli.md
