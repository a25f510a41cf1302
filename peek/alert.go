package peek

// Alert descriptions that a balancer sends (RFC 8446 §6).
const (
	AlertDecodeError      = 50
	AlertInternalError    = 80
	AlertUnrecognizedName = 112
)

// Alert levels (RFC 5246 §7.2). TLS 1.3 has them on the wire and gives them no meaning.
const (
	alertWarning = 1
	alertFatal   = 2

	alertCloseNotify = 0
	alertSize        = 2
)

// AppendAlert appends one fatal alert record in the clear to dst: seven bytes, the answer
// to a ClientHello that is not forwarded.
//
// The record says version 0x0303. That is what RFC 8446 §5.1 wants of every record but a
// first ClientHello's, and what servers of TLS 1.2 send; clients look at no more than the
// major number before a version is negotiated, those of TLS 1.0 too.
func AppendAlert(dst []byte, description uint8) []byte {
	return append(dst, recordAlert, 3, 3, 0, alertSize, alertFatal, description)
}
