package peek

// Extension types that this package looks into (IANA, TLS ExtensionType Values).
const (
	extServerName              = 0
	extStatusRequest           = 5
	extSupportedGroups         = 10
	extPointFormats            = 11
	extSignatureAlgorithms     = 13
	extALPN                    = 16
	extSCT                     = 18
	extExtendedMasterSecret    = 23
	extSessionTicket           = 35
	extPreSharedKey            = 41
	extEarlyData               = 42
	extSupportedVersions       = 43
	extCookie                  = 44
	extPSKModes                = 45
	extSignatureAlgorithmsCert = 50
	extKeyShare                = 51
	extQUICTransportParameters = 57
	extECH                     = 0xfe0d
	extRenegotiationInfo       = 0xff01
)

// extension reads one extension. Every one that crypto/tls reads is read to its last
// byte, those without use here too, so that what a backend would refuse as broken is
// refused here. Others are skipped whole, on purpose: padding, GREASE and what is not
// invented yet.
func (h *Hello) extension(typ uint16, body cursor, last bool) (what string) {
	var ok bool
	switch typ {
	case extServerName:
		h.ServerName, what = serverName(body)
		return what
	case extALPN:
		h.ALPN, ok = protocolList(body)
	case extSupportedVersions:
		h.Versions, ok = body.codes8()
	case extSupportedGroups:
		h.Groups, ok = body.codes16()
	case extSignatureAlgorithms:
		h.SignatureAlgorithms, ok = body.codes16()
	case extSignatureAlgorithmsCert:
		_, ok = body.codes16()
	case extKeyShare:
		h.KeyShares, ok = keyShareList(body)
	case extSessionTicket:
		h.SessionTicket, ok = body, true
	case extPreSharedKey:
		if !last {
			return "pre_shared_key is not the last extension"
		}
		h.PSK, ok = true, preSharedKey(body)
	case extEarlyData:
		h.EarlyData, ok = true, body.empty()
	case extECH:
		h.ECH, ok = classifyECH(body)
	case extStatusRequest:
		ok = statusRequest(body)
	case extExtendedMasterSecret, extSCT:
		ok = body.empty()
	case extPointFormats:
		ok = body.only8(1)
	case extPSKModes, extRenegotiationInfo:
		ok = body.only8(0)
	case extCookie:
		ok = body.only16(1)
	default:
		return ""
	}
	if !ok {
		return broken(typ)
	}
	return ""
}

// broken names the extension in fixed words, one string each: an error costs no garbage.
func broken(typ uint16) string {
	switch typ {
	case extALPN:
		return "malformed ALPN extension"
	case extSupportedVersions:
		return "malformed supported_versions extension"
	case extSupportedGroups:
		return "malformed supported_groups extension"
	case extSignatureAlgorithms, extSignatureAlgorithmsCert:
		return "malformed signature_algorithms extension"
	case extKeyShare:
		return "malformed key_share extension"
	case extPreSharedKey:
		return "malformed pre_shared_key extension"
	case extECH:
		return "malformed encrypted_client_hello extension"
	}
	return "malformed extension"
}

// only8 reports whether c is one vector of at least n bytes with a one-byte length.
func (c cursor) only8(n int) bool {
	v, ok := c.vec8()
	return ok && len(v) >= n && c.empty()
}

// only16 is only8 for a two-byte length.
func (c cursor) only16(n int) bool {
	v, ok := c.vec16()
	return ok && len(v) >= n && c.empty()
}

// codes8 reads a list of code points, one or more, that fills c.
func (c cursor) codes8() (Codes, bool) {
	v, ok := c.vec8()
	return v, ok && len(v) > 0 && len(v)%2 == 0 && c.empty()
}

// codes16 is codes8 for a two-byte length.
func (c cursor) codes16() (Codes, bool) {
	v, ok := c.vec16()
	return v, ok && len(v) > 0 && len(v)%2 == 0 && c.empty()
}

// protocolList reads ALPN (RFC 7301 §3.1): one protocol or more, none of them empty.
func protocolList(body cursor) (ProtocolList, bool) {
	list, ok := body.vec16()
	if !ok || len(list) == 0 || !body.empty() {
		return nil, false
	}
	for rest := cursor(list); !rest.empty(); {
		if p, ok := rest.vec8(); !ok || len(p) == 0 {
			return nil, false
		}
	}
	return list, true
}

// keyShareList reads key_share (RFC 8446 §4.2.8): any number of shares, none of them
// empty. A client without a share asks for a HelloRetryRequest.
func keyShareList(body cursor) (KeyShareList, bool) {
	list, ok := body.vec16()
	if !ok || !body.empty() {
		return nil, false
	}
	for rest := cursor(list); !rest.empty(); {
		if _, ok := rest.u16(); !ok {
			return nil, false
		}
		if key, ok := rest.vec16(); !ok || len(key) == 0 {
			return nil, false
		}
	}
	return list, true
}

// preSharedKey checks pre_shared_key (RFC 8446 §4.2.11): identities, each with the age of
// its ticket, then binders.
func preSharedKey(body cursor) bool {
	identities, ok := body.vec16()
	if !ok || len(identities) == 0 {
		return false
	}
	for rest := cursor(identities); !rest.empty(); {
		if id, ok := rest.vec16(); !ok || len(id) == 0 {
			return false
		}
		if _, ok := rest.take(4); !ok {
			return false
		}
	}
	binders, ok := body.vec16()
	if !ok || len(binders) == 0 || !body.empty() {
		return false
	}
	for rest := cursor(binders); !rest.empty(); {
		if binder, ok := rest.vec8(); !ok || len(binder) == 0 {
			return false
		}
	}
	return true
}

// statusRequest checks status_request (RFC 6066 §8): a type, responders, extensions.
func statusRequest(body cursor) bool {
	if _, ok := body.u8(); !ok {
		return false
	}
	if _, ok := body.vec16(); !ok {
		return false
	}
	return body.only16(0)
}
