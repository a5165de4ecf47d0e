/**
 * Why a connection ended, or was never made: decided here and nowhere else.
 *
 * `refused`, for good: Kafka's own verdict on our credentials; a certificate, ours or theirs; plaintext against TLS.
 * Everything else is the network's, also where it looks like a refusal: a handshake that is cut short is what a
 * balancer without a backend does, silence what a broker in a collection of garbage, a close what a limit on connections.
 */
import { TransportError } from '../../../errors.ts'
import { foreign, wordsOf } from '../../../words.ts'
import { kafka } from '../protocol/error-codes.ts'
import type { ConnectionEnd } from './connection.ts'

/** Kafka's verdicts on who we are. */
const finalCodes: ReadonlySet<number> = new Set([
  kafka.saslAuthenticationFailed,
  kafka.unsupportedSaslMechanism,
  kafka.illegalSaslState,
])

/** What another attempt may mend. */
export class NetworkFailure extends Error {
  override name = 'NetworkFailure'
  /** Nothing came for too long: what was asked for may have been more than the line carries. */
  readonly silent: boolean

  constructor(message: string, details: ErrorOptions & { readonly silent?: boolean } = {}) {
    super(message, details)
    this.silent = details.silent ?? false
    // Where in this library a socket's event arrived helps nobody.
    this.stack = `${this.name}: ${message}`
  }
}

/** What no further attempt mends, as whoever found it says it. */
export class Refusal extends Error {
  override name = 'Refusal'
}

/** A broker's answer with an error while it was logged in to. `step`: what it was asked. */
export function loginRefused(code: number, name: string, message: string): Error {
  const text = `${message} (${name})`
  return finalCodes.has(code)
    ? new Refusal(`SASL authentication failed: ${text}`)
    : new NetworkFailure(`the broker could not log us in: ${text}`)
}

/** OpenSSL's names of what is wrong with a certificate that was checked (`X509_V_ERR_…`), and Node's. */
const certificate =
  /^(UNABLE_TO_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|ERROR_IN_C|HOSTNAME_MISMATCH$|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|ERR_TLS_CERT_|ERR_SSL_(CERTIFICATE_VERIFY_FAILED|EE_KEY_TOO_SMALL|CA_KEY_TOO_SMALL|CA_MD_TOO_WEAK)$)/

/** The other side's word (TLS alerts 42 to 49 and 116) on the certificate that we showed, or did not show. */
const alert = /^ERR_SSL_.*ALERT_(.*CERTIFICATE.*|UNKNOWN_CA|ACCESS_DENIED)$/

/** What OpenSSL says of an answer that is no TLS. */
const noTls = /^ERR_SSL_(WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST)$/

/** Whether the broker's first bytes are a TLS record: an alert or a handshake, which no answer of Kafka's begins with. */
export function isTlsRecord(bytes: Buffer): boolean {
  return bytes.length >= 3 && bytes[0]! >= 0x14 && bytes[0]! <= 0x17 && bytes[1] === 3 && bytes[2]! <= 4
}

/** What ended a connection to `address`, in words of ours. `stage`: what was under way, such as `logging in`. */
export function endOf(address: string, error: Error, stage: string): ConnectionEnd {
  const final = finalWords(error)
  if (final !== undefined) {
    const text = `broker ${address}: ${final}; check the sasl and tls options against the broker's listener`
    return {
      verdict: 'refused',
      error: new TransportError('MILENA_AUTHENTICATION_FAILED', text, { cause: error }),
    }
  }
  if (error instanceof TransportError) return { verdict: 'network', error }
  const silent = error instanceof NetworkFailure && error.silent
  const text = `broker ${address}: ${wordsOf(error)}, while ${stage}`
  return { verdict: 'network', error: new NetworkFailure(text, { cause: error, silent }) }
}

function finalWords(error: Error): string | undefined {
  if (error instanceof Refusal) return foreign(error.message)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (certificate.test(code)) return `its certificate is not trusted: ${wordsOf(error)}`
  if (alert.test(code))
    return `it does not take our certificate, or wants one (option tls.cert): ${wordsOf(error)}`
  if (noTls.test(code)) return `it does not speak TLS there (${wordsOf(error)})`
  return undefined
}
