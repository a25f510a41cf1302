package balancer

// Cause is the one way in which a connection ended. The log line, the metric label and docs/causes.md use its
// word. The zero Cause means "not ended".
type Cause uint8

// Causes, in the order a connection can meet them. docs/causes.md is made from causeTable.
const (
	CauseNone              Cause = iota
	CauseConnLimit               // a connection limit was reached
	CauseFDLimit                 // the process is out of descriptors
	CauseMemoryLimit             // too many large hellos at once
	CauseProxyUntrusted          // a PROXY header from a peer that is not listed
	CauseProxyBad                // a listed peer sent a broken PROXY header, or none
	CauseHelloTimeout            // no complete hello in time
	CauseClientGone              // the client left before its hello was answered
	CauseNotTLS                  // the first bytes are not TLS
	CauseBadHello                // the hello is malformed
	CauseHelloTooBig             // the hello is larger than allowed
	CauseNoSNI                   // refused by no_sni
	CauseNoRoute                 // refused by unknown_sni
	CauseRejected                // refused by the route
	CauseHandshakeRate           // too many handshakes of one source
	CauseHandshakeLimit          // too many handshakes at once
	CauseHandshakeTimeout        // the handshake was not complete in time
	CauseNoCommonVersion         // the client offers no version that is allowed
	CauseNoCommonCipher          // nor a cipher suite, a group or a signature algorithm
	CauseNoCommonProtocol        // the client offers application protocols, none of them ours
	CauseEarlyData               // the client sent early data
	CauseNoCertificate           // no certificate is for the name
	CauseBadCertificate          // the certificate for the name cannot be used
	CauseClientCertMissing       // a client certificate is required, and none came
	CauseClientCertExpired       // it has expired, or is not valid yet
	CauseClientCertRevoked       // it is on its authority's list
	CauseClientCertRefused       // it is not trusted
	CauseClientAlert             // the client refused the handshake
	CauseHandshakeFail           // another breach of the protocol
	CausePoolLimit               // the pool or all its backends are at max_connections
	CauseQueueFull               // the same, and as many wait already as may
	CauseQueueTimeout            // the same, and no slot became free in time
	CauseNoBackend               // no backend may be tried
	CauseConnectFail             // no backend accepted the connection
	CauseConnectTimeout          // no backend accepted the connection in time
	CauseBackendTLS              // no backend's TLS was right
	CauseAnswerFail              // every backend hung up before its first byte
	CauseAnswerTimeout           // no backend sent a first byte in time
	CauseOK                      // both sides ended in order
	CauseClientReset             // the client reset the connection
	CauseBackendReset            // the backend reset the connection
	CauseClientLost              // the client stopped acknowledging
	CauseBackendLost             // the backend stopped acknowledging
	CauseBrokenTLS               // what came after the handshake is no TLS
	CauseIdleTimeout             // no byte either way
	CauseHalfCloseTimeout        // one direction was silent too long after the end of the other
	CauseStalled                 // one side is alive and would not take bytes
	CauseBackendRemoved          // the backend left its pool, or is in maint, and its drain time is over
	CauseKilled                  // closed by an operator
	CauseDraining                // closed by a stop
	CauseInternalError           // a defect in Switchyard
	NumCauses
)

// causeText is what the manual says of a cause.
type causeText struct{ word, meaning, action string }

// causeTable is indexed by Cause.
var causeTable = [NumCauses]causeText{
	CauseNone: {"", "", ""},
	CauseConnLimit: {"conn_limit",
		"The process or the listener is at its max_connections; the client got a reset.",
		"Raise max_connections, or the descriptor limit it is derived from; look for clients that hold connections."},
	CauseFDLimit: {"fd_limit",
		"The process or the machine has no free descriptor; the client got a reset, or an alert if its hello was read already.",
		"Raise LimitNOFILE (ulimit -n) or fs.file-max."},
	CauseMemoryLimit: {"memory_limit",
		"Hellos larger than 4 KiB take up a quarter of the process's memory limit; this one would not fit, and got a reset.",
		"Look for a flood of unfinished large hellos; lower hello_timeout or hello_max_size, or raise the memory limit."},
	CauseProxyUntrusted: {"proxy_untrusted",
		"A peer that proxy_protocol.from does not list sent a PROXY header. It was not parsed.",
		"List the peer if it is a proxy of yours; otherwise somebody tries to forge an address."},
	CauseProxyBad: {"proxy_bad",
		"A peer that proxy_protocol.from lists sent a malformed PROXY header, or none where one must be.",
		"Make the peer send one, or set optional: true for peers that also connect directly."},
	CauseHelloTimeout: {"hello_timeout",
		"The client sent no complete PROXY header and ClientHello within hello_timeout.",
		"Nothing, if few: scanners and port checks do this. Raise hello_timeout for clients on very slow links."},
	CauseClientGone: {"client_gone",
		"The client closed or reset the connection before a backend had answered its hello.",
		"Nothing, if few: port checks do this. If many, compare hello_s and dial_s with the clients' own timeout."},
	CauseNotTLS: {"not_tls",
		"The first bytes cannot start a TLS connection.",
		"Look for clients that speak plain text to this port; see not_tls."},
	CauseBadHello: {"bad_hello",
		"The ClientHello is malformed, or its server name is not a host name.",
		"The log line's error says what is wrong, and `switchyard peek` on a capture at which byte."},
	CauseHelloTooBig: {"hello_too_big",
		"The ClientHello announces more than hello_max_size.",
		"Raise hello_max_size (at most 64KiB); ordinary hellos are below 4 KiB."},
	CauseNoSNI: {"no_sni",
		"The ClientHello names no host, and the listener's no_sni rejects that.",
		"Give no_sni a pool if such clients (old ones, or by IP address) must be served, or say no_sni: true in a route."},
	CauseNoRoute: {"no_route",
		"No route matches, and the listener's unknown_sni rejects that.",
		"`switchyard explain --sni NAME` shows what was tried."},
	CauseRejected: {"rejected",
		"The route that matched says reject.",
		"Nothing: this is the route's purpose."},
	CauseHandshakeRate: {"handshake_rate",
		"TLS ends here for this host, and the client's address (with IPv6, its /64) has begun more handshakes than handshakes.per_source and burst allow; it got a reset. Hosts that pass through are not concerned.",
		"Nothing, if it is one source that floods. If many clients share the address (NAT, or a proxy that sends no PROXY header), raise per_source or burst."},
	CauseHandshakeLimit: {"handshake_limit",
		"TLS ends here for this host, and more handshakes were waiting to be computed, or for their time by handshakes.total, than there is room for, or this one waited too long: 8 s after many came at once, a second in a flood. Hosts that pass through are not concerned.",
		"Look for a flood of handshakes, and at handshakes.total; more cores, or tickets that clients keep, make room."},
	CauseHandshakeTimeout: {"handshake_timeout",
		"TLS ends here for this host, and the client did not complete the handshake within handshake_timeout.",
		"Nothing, if few. Raise handshake_timeout for clients on very slow links."},
	CauseNoCommonVersion: {"no_common_version",
		"The client offers no TLS version that the route's min_version and max_version allow; the log line's error says what it offers.",
		"Renew the client, or lower min_version if it must be served."},
	CauseNoCommonCipher: {"no_common_cipher",
		"The client offers no cipher suite, no key exchange group or no signature algorithm that the route allows and its certificates need; the log line's error says which, and what it offers.",
		"Look at the route's ciphers and curves, which `switchyard explain` shows; old clients may need an RSA certificate beside the ECDSA one."},
	CauseNoCommonProtocol: {"no_common_protocol",
		"The client offers application protocols (ALPN), and none of the route's alpn is among them; the log line's error says what it offers.",
		"Add the protocol to alpn if the backends speak it."},
	CauseEarlyData: {"early_data",
		"The client sent early data (0-RTT), which no session of Switchyard allows: it has a session of another server for this host.",
		"Nothing: the client connects anew without. Look for other servers behind the same name that allow early data."},
	CauseNoCertificate: {"no_certificate",
		"TLS ends here for this host, and none of the route's certificates is for its name, or the one that acme orders has not been obtained yet: then the log line's error says so, since when it is tried, when it is tried again and what the authority said last. The client got the alert unrecognized_name.",
		"`switchyard explain --sni NAME` shows the certificates there are. Add one, or name a default; or see to what the authority said."},
	CauseBadCertificate: {"bad_certificate",
		"The certificate for this name could not be read now, or it could not be told whether there is one, since its directory could not be read; the log line's error says the file or directory and what is wrong with it. The default is not shown in its place.",
		"Repair the file, or mount the directory again; it is taken without a reload."},
	CauseClientCertMissing: {"client_cert_missing",
		"The route requires a client certificate, and the client sent none.",
		"Give the client one; or set client_auth.require: false if it may do without."},
	CauseClientCertExpired: {"client_cert_expired",
		"The client's certificate has expired, or is not valid yet.",
		"Renew it. If many at once: check the clock of this machine."},
	CauseClientCertRevoked: {"client_cert_revoked",
		"The client's certificate, or that of its authority, is on the list of revoked certificates of whoever issued it (client_auth.crl).",
		"Nothing: this is the list's purpose. The log line's error says whose certificate it is."},
	CauseClientCertRefused: {"client_cert_refused",
		"The client's certificate is not trusted: it is of another authority, or of one that has expired, not for clients, malformed, or its authority has no list that is still good; the log line's error says which, and whose it is.",
		"Compare its issuer, which the error names, with client_auth.ca; renew the list of client_auth.crl."},
	CauseClientAlert: {"client_alert",
		"The client ended the handshake with an alert, which the log line's error names.",
		"unknown certificate authority, bad certificate or certificate expired: it does not trust the certificate that it was shown; look at its chain."},
	CauseHandshakeFail: {"handshake_fail",
		"The client broke the rules of the TLS handshake; the log line's error says how.",
		"Nothing, if few: scanners do this. A name that ends with a dot is refused where TLS ends here (RFC 6066 section 3)."},
	CausePoolLimit: {"pool_limit",
		"The pool, or every backend of it that is usable, is at max_connections.",
		"Add backends or raise max_connections."},
	CauseQueueFull: {"queue_full",
		"The pool, or every backend of it that is usable, is at max_connections, and queue_size connections wait for a slot already.",
		"Add backends, or raise max_connections; raise queue_size if the peaks are short."},
	CauseQueueTimeout: {"queue_timeout",
		"The pool, or every backend of it that is usable, was at max_connections for all of queue_timeout.",
		"Add backends, or raise max_connections; a longer queue_timeout helps only while clients are patient."},
	CauseNoBackend: {"no_backend",
		"The pool has no backend that may be tried: none resolved, or all with weight 0 or down.",
		"See the pool's backends in the metrics; check DNS for pools with names."},
	CauseConnectFail: {"connect_fail",
		"Every backend that was tried refused the connection, or could not be reached.",
		"Check that the backends listen; the log line's error says what the last one answered."},
	CauseConnectTimeout: {"connect_timeout",
		"The last backend that was tried did not accept within connect_timeout.",
		"Check packet filters and the backends' accept queues."},
	CauseBackendTLS: {"backend_tls",
		"The pool has tls, and the last backend that was tried has a certificate that is not trusted, or failed or refused the handshake; the log line's error says why. The client was told nothing but the end.",
		"Compare the backend's certificate with the pool's tls.ca and tls.sni; if it wants one of us, set tls.cert and tls.key; if there is no application protocol, the client's is none of the backend's: see tls.alpn."},
	CauseAnswerFail: {"answer_fail",
		"The last backend that was tried closed or reset the connection before its first byte.",
		"Look at the backends' own logs; a PROXY header that they do not expect, or miss, looks like this."},
	CauseAnswerTimeout: {"answer_timeout",
		"The last backend that was tried accepted, and sent nothing within answer_timeout.",
		"Look for overload of the backends."},
	CauseOK: {"ok",
		"Both sides ended in order.",
		"Nothing."},
	CauseClientReset: {"client_reset",
		"The client reset an established connection; the backend got a reset too.",
		"Nothing, if few: browsers and phones do this."},
	CauseBackendReset: {"backend_reset",
		"The backend reset an established connection; the client got a reset too.",
		"Look at the backend's log: crashes and restarts look like this."},
	CauseClientLost: {"client_lost",
		"The client did not acknowledge data or keepalive probes for a minute.",
		"Nothing, if few: devices lose their network."},
	CauseBackendLost: {"backend_lost",
		"The backend did not acknowledge data or keepalive probes for a minute.",
		"Look for a dead machine or a broken network towards the backend."},
	CauseBrokenTLS: {"broken_tls",
		"TLS ends here, and after the handshake one side sent what is no TLS, was altered on the way, or is a flood of messages without content.",
		"Nothing, if few. If many from one network, something on the way alters connections."},
	CauseIdleTimeout: {"idle_timeout",
		"No byte moved either way for idle_timeout.",
		"Raise the pool's idle_timeout if clients are meant to be silent for longer."},
	CauseHalfCloseTimeout: {"half_close_timeout",
		"One side had ended, and for half_close_timeout the other was open and silent, and neither had bytes to take.",
		"Raise half_close_timeout if an answer may take longer to begin, or to go on, after the end of the request."},
	CauseStalled: {"stalled",
		"One side is alive and took no byte for stalled_timeout while there were bytes to take.",
		"Raise stalled_timeout if clients may pause for longer."},
	CauseBackendRemoved: {"backend_removed",
		"The backend is no longer a member of its pool (a change of the configuration, or of the addresses of its name), or was put into maint; drain_timeout is over.",
		"Raise drain_timeout if connections need longer to end by themselves."},
	CauseKilled: {"killed",
		"An operator closed the connection: `switchyard connections --kill`, or DELETE /v1/connections.",
		"Nothing: somebody meant it."},
	CauseDraining: {"draining",
		"A stop closed the connection: the drain time was over, or a second signal came.",
		"Raise drain.max if connections need longer to end by themselves."},
	CauseInternalError: {"internal_error",
		"A defect in Switchyard ended this connection; a line at level error shows the stack. Others go on.",
		"Please report it with that line."},
}

// String is the word of the log, the metric and the manual.
func (c Cause) String() string {
	if c >= NumCauses {
		return "invalid"
	}
	return causeTable[c].word
}
