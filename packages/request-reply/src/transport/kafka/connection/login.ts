/**
 * Logging in to a broker: PLAIN (RFC 4616), SCRAM (RFC 5802), OAUTHBEARER (RFC 7628), and again before the broker's
 * session ends (KIP-368). Secrets that are functions are asked at each connection; tokens are shared (`tokens.ts`).
 */
import { TransportError } from '../../../errors.ts'
import { foreign, wordsOf } from '../../../words.ts'
import type { SaslOptions } from '../options.ts'
import { saslAuthenticate, saslHandshake, type SaslAuthenticateAnswer } from '../protocol/sasl.ts'
import type { NewConnection } from './connection.ts'
import { errorName } from '../protocol/error-codes.ts'
import { Scram } from './scram.ts'
import { Tokens, type Token } from './tokens.ts'
import { loginRefused, NetworkFailure, Refusal } from './verdicts.ts'

/** What ends a refused OAUTHBEARER exchange (RFC 7628, 3.2.3): the broker then says why. */
const SEEN = Buffer.of(1)

/** A shared token was refused, which others may have used for long: with another one it is worth a try at once. */
export class TokenRefused extends NetworkFailure {}

export class Login {
  readonly #sasl: SaslOptions
  readonly #tokens: Tokens | undefined

  constructor(sasl: SaslOptions) {
    this.#sasl = sasl
    this.#tokens = sasl.mechanism === 'OAUTHBEARER' ? new Tokens(sasl.token ?? '') : undefined
  }

  /** Gives the milliseconds that the broker lets it last; 0 for ever. Rejects with a `Refusal` or a `NetworkFailure`. */
  async logIn(connection: NewConnection): Promise<number> {
    const { mechanism } = this.#sasl
    const version = handshakeVersion(connection)
    const { errorCode, mechanisms } = await connection.exchange(saslHandshake, version, { mechanism })
    if (errorCode !== 0) {
      const takes = mechanisms.length === 0 ? 'none' : foreign(mechanisms.join(', '))
      throw loginRefused(errorCode, errorName(errorCode), `${mechanism} is not taken, but ${takes}`)
    }
    switch (mechanism) {
      case 'PLAIN':
        return this.#plain(connection)
      case 'OAUTHBEARER':
        return this.#bearer(connection, this.#tokens!)
      default:
        return this.#scram(connection, mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512')
    }
  }

  /** The attempt was given up, perhaps since a function that gives a secret says nothing. */
  giveUp(): void {
    this.#tokens?.giveUp()
  }

  async #plain(connection: NewConnection): Promise<number> {
    const [username, password] = [await this.#secret('username'), await this.#secret('password')]
    return lifetimeOf(await say(connection, Buffer.from(`\0${username}\0${password}`)))
  }

  async #scram(connection: NewConnection, hash: 'sha256' | 'sha512'): Promise<number> {
    const scram = new Scram(hash, await this.#secret('username'), await this.#secret('password'))
    const serverFirst = accepted(await say(connection, scram.first()))
    const serverFinal = accepted(await say(connection, await scram.final(serverFirst.bytes)))
    scram.verify(serverFinal.bytes)
    return serverFinal.lifetime
  }

  async #bearer(connection: NewConnection, tokens: Tokens): Promise<number> {
    const { token, fresh } = await tokens.get()
    let answer = await say(connection, Buffer.from(`n,,\x01auth=Bearer ${token.text}\x01\x01`))
    let detail = ''
    if (answer.errorCode === 0 && answer.bytes.length > 0) {
      detail = ` ${foreign(answer.bytes.toString('utf8'))}`
      answer = await say(connection, SEEN)
    }
    try {
      if (detail !== '' && answer.errorCode === 0) throw new Refusal(`the broker refuses the token:${detail}`)
      const { lifetime } = accepted(answer)
      // How long an opaque token lasts is not known: who renews a login with it needs another.
      if (lifetime > 0 && token.expires === undefined) tokens.forget(token)
      return lifetime
    } catch (error) {
      tokens.forget(token)
      throw error instanceof Refusal && tokens.renewable ? renewed(error, token, fresh) : error
    }
  }

  async #secret(name: 'username' | 'password'): Promise<string> {
    const given = this.#sasl[name]
    if (typeof given !== 'function') return given ?? ''
    try {
      const text: unknown = await given()
      if (typeof text !== 'string' || text === '') throw new TypeError('it gave no text')
      return text
    } catch (error) {
      throw new NetworkFailure(`no ${name}: sasl.${name} failed with: ${wordsOf(error)}`, { cause: error })
    }
  }
}

/** What a refused token means where the next one may be better. */
function renewed(refusal: Refusal, token: Token, fresh: boolean): Error {
  if (!fresh) return new TokenRefused(refusal.message, { cause: refusal })
  if (token.expires === undefined || token.expires > Date.now()) return refusal
  const at = new Date(token.expires).toISOString()
  return new NetworkFailure(`${refusal.message}; the token that sasl.token gave ended at ${at}`, {
    cause: refusal,
  })
}

/** A broker that has no SASL refuses nothing: it does not offer the first step. */
function handshakeVersion(connection: NewConnection): number {
  try {
    return connection.version(saslHandshake)
  } catch (cause) {
    const what = 'leave out the option sasl, or take the address of a listener that has a login'
    throw new TransportError('MILENA_BROKER_ERROR', `${wordsOf(cause)}: no login (SASL); ${what}`, { cause })
  }
}

async function say(connection: NewConnection, bytes: Buffer): Promise<SaslAuthenticateAnswer> {
  return connection.exchange(saslAuthenticate, connection.version(saslAuthenticate), { bytes })
}

function accepted(answer: SaslAuthenticateAnswer): SaslAuthenticateAnswer {
  if (answer.errorCode === 0) return answer
  throw loginRefused(
    answer.errorCode,
    errorName(answer.errorCode),
    foreign(answer.message ?? 'no reason given'),
  )
}

function lifetimeOf(answer: SaslAuthenticateAnswer): number {
  return accepted(answer).lifetime
}
