/** Logging in (KIP-43, KIP-152, KIP-368): a handshake about the mechanism, then the mechanism's own messages. */
import type { Api } from './api.ts'

export interface SaslHandshakeAnswer {
  readonly errorCode: number
  /** What the broker takes. */
  readonly mechanisms: readonly string[]
}

/** Version 1: what follows is in `SaslAuthenticate`, not bare on the wire. */
export const saslHandshake: Api<{ readonly mechanism: string }, SaslHandshakeAnswer> = {
  name: 'SaslHandshake',
  key: 17,
  versions: { oldest: 1, newest: 1 },
  flexibleFrom: Infinity,
  throttledFrom: Infinity,
  write(to, { mechanism }) {
    to.text(mechanism)
  },
  read(from) {
    return { errorCode: from.int16(), mechanisms: from.array((one) => one.text()) }
  },
}

export interface SaslAuthenticateAnswer {
  readonly errorCode: number
  readonly message: string | null
  readonly bytes: Buffer
  /** Milliseconds after which the broker wants to be told anew; 0 for never. */
  readonly lifetime: number
}

export const saslAuthenticate: Api<{ readonly bytes: Buffer }, SaslAuthenticateAnswer> = {
  name: 'SaslAuthenticate',
  key: 36,
  versions: { oldest: 0, newest: 2 },
  flexibleFrom: 2,
  throttledFrom: Infinity,
  write(to, { bytes }) {
    to.blob(bytes).tags()
  },
  read(from, version) {
    const errorCode = from.int16()
    const message = from.nullableText()
    const bytes = from.blob()
    return { errorCode, message, bytes, lifetime: version >= 1 ? from.int64() : 0 }
  },
}
