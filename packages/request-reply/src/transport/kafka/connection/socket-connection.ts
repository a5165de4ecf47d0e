/**
 * A connection to a broker over a socket: requests out, answers in, in order.
 *
 *   send ──▶ waiting ──▶ in flight ──▶ answered
 *              │             │
 *              │             └── the connection ended ──▶ failed, with its end
 *              └── while as many are in flight as may be, while the broker wants to be left in peace (KIP-219), while
 *                  the login is renewed (KIP-368)
 *
 * The first request after a pause has a companion, a question that is answered at once: a firewall that has forgotten
 * the connection drops both without a word, and is noticed soon, whatever the request itself may take.
 */
import type { Socket } from 'node:net'
import { errorOf } from '../../../words.ts'
import type { Api } from '../protocol/api.ts'
import { apiVersions } from '../protocol/api-versions.ts'
import { MalformedAnswer, Reader } from '../protocol/reader.ts'
import type { BrokerAddress, BrokerConnection, ConnectionEnd, NewConnection } from './connection.ts'
import { Frames } from './frames.ts'
import { encodeRequest } from './requests.ts'
import { Silence } from './silence.ts'
import { endOf, isTlsRecord, NetworkFailure, Refusal } from './verdicts.ts'
import { commonVersion, software, type OfferedVersions } from './versions.ts'

/** Milliseconds without a request after which the next one has a companion. */
const PAUSE = 4_000
/** Milliseconds within which the companion must be answered. */
const COMPANION_LIMIT = 1_500
/** Milliseconds without a request after which it is not used again: firewalls and brokers forget, clients a little before. */
const IDLE_LIMIT = 240_000

type Done<Answer> = (error: Error | null, answer?: Answer) => void

/** A request on its way. */
interface Asked {
  readonly api: Api<unknown, unknown>
  readonly request: unknown
  readonly version: number
  readonly done: Done<unknown>
  /** It is the connection's own: it does not wait its turn. */
  readonly own: boolean
  correlation: number
}

export interface ConnectionSettings {
  readonly clientId: string
  /** Most requests without an answer; the others wait. */
  readonly mostInFlight: number
  /** Milliseconds of silence, while an answer is awaited, after which it is given up. */
  readonly silence: number
}

export class SocketConnection implements BrokerConnection, NewConnection {
  readonly broker: BrokerAddress
  /** Resolves when it has ended and the socket is gone. */
  readonly gone: Promise<void>
  readonly #address: string
  readonly #socket: Socket
  readonly #secure: boolean
  readonly #clientId: Buffer
  readonly #mostInFlight: number
  readonly #frames: Frames
  readonly #silence: Silence
  readonly #limit: number
  readonly #versions = new Map<object, number>()
  readonly #waiting: Asked[] = []
  readonly #inFlight: Asked[] = []
  /** Of those in flight, how many are not the connection's own. */
  #busy = 0
  #offered: OfferedVersions = new Map()
  #correlation = 0
  #heard = false
  #companion: Asked | undefined
  #forgotten = false
  #quietUntil = 0
  #quietTimer: NodeJS.Timeout | undefined
  #renewAt = Infinity
  #renew: (() => Promise<void>) | undefined
  #renewing = false
  #end: ConnectionEnd | undefined
  /** What waits for something else than an answer, and ends with it. */
  readonly #bound = new Set<(why: Error) => void>()
  /** Called once, when it has ended. */
  onEnd: (() => void) | undefined
  /** What is under way before it can be used; `undefined` since then. */
  stage: string | undefined = 'connecting'

  constructor(broker: BrokerAddress, socket: Socket, secure: boolean, settings: ConnectionSettings) {
    this.broker = broker
    this.#address = `${broker.host}:${broker.port}`
    this.#socket = socket
    this.#secure = secure
    this.#clientId = Buffer.from(settings.clientId)
    this.#mostInFlight = settings.mostInFlight
    this.#frames = new Frames((frame) => this.#answered(frame))
    this.#limit = settings.silence
    this.#silence = new Silence({
      queued: () => queuedIn(socket),
      limit: () => this.#silenceLimit(),
      silent: (milliseconds) => this.#silent(milliseconds),
    })
    this.gone = new Promise((resolve) => {
      socket.once('close', () => resolve())
    })
    socket.on('data', (bytes: Buffer) => this.#received(bytes))
    socket.on('error', (error) => this.#finish(error))
    for (const event of ['end', 'close']) {
      socket.on(event, () => this.#finish(new NetworkFailure('the connection was closed by the other side')))
    }
  }

  get open(): boolean {
    return this.#end === undefined && this.stage === undefined
  }

  /** Why it ended. */
  get end(): ConnectionEnd | undefined {
    return this.#end
  }

  /** Its companion was not answered: something between us and the broker has forgotten it. */
  get forgotten(): boolean {
    return this.#forgotten
  }

  /** For how many milliseconds nothing has come by it, since it was asked. */
  quietFor(now: number): number {
    return now - this.#silence.since
  }

  /** It is not used, and was not for so long that the next request would have a companion. */
  idle(now: number): boolean {
    return this.open && this.#inFlight.length === 0 && now - this.#silence.since > PAUSE
  }

  /** It has not been used for so long that it is better not used again. */
  stale(now: number): boolean {
    return this.#inFlight.length === 0 && now - this.#silence.since > IDLE_LIMIT
  }

  version(api: Api<never, unknown>): number {
    let version = this.#versions.get(api)
    if (version === undefined) {
      version = commonVersion(api, this.#offered, this.#address)
      this.#versions.set(api, version)
    }
    return version
  }

  /** What the broker offers is known. */
  learn(offered: OfferedVersions): void {
    this.#offered = offered
  }

  /** The login ends in so many milliseconds, unless it is renewed before the next request. */
  renewIn(milliseconds: number, renew: () => Promise<void>): void {
    this.#renewAt = performance.now() + milliseconds
    this.#renew = renew
  }

  ask<Request, Answer>(api: Api<Request, Answer>, request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.send(api, request, (error, answer) => (error === null ? resolve(answer!) : reject(error)))
    })
  }

  send<Request, Answer>(api: Api<Request, Answer>, request: Request, done: Done<Answer>): void {
    let asked: Asked
    try {
      asked = this.#asked(api, request, this.version(api), done, false)
    } catch (error) {
      process.nextTick(done, error)
      return
    }
    if (this.#end !== undefined) {
      process.nextTick(done, this.#end.error)
      return
    }
    this.#waiting.push(asked)
    this.#go()
  }

  /** The connection's own request, such as for its login: goes before those that wait. */
  exchange<Request, Answer>(api: Api<Request, Answer>, version: number, request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) {
        reject(this.#end.error)
        return
      }
      const done: Done<Answer> = (error, answer) => (error === null ? resolve(answer!) : reject(error))
      this.#write(this.#asked(api, request, version, done, true))
    })
  }

  /** The outcome of what it waits for, or a rejection with why it ended, as soon as it does. */
  async unlessEnded<Value>(waiting: Promise<Value>): Promise<Value> {
    // No race with one promise for the connection's whole life: that would keep what each of them leaves behind.
    const ended = Promise.withResolvers<never>()
    if (this.#end !== undefined) ended.reject(this.#end.error)
    this.#bound.add(ended.reject)
    try {
      return await Promise.race([waiting, ended.promise])
    } finally {
      this.#bound.delete(ended.reject)
    }
  }

  cut(why: Error): void {
    this.#finish(why)
  }

  #asked<Request, Answer>(
    api: Api<Request, Answer>,
    request: Request,
    version: number,
    done: Done<Answer>,
    own: boolean,
  ): Asked {
    return {
      api,
      request,
      version,
      done: done as Done<unknown>,
      own,
      correlation: 0,
    }
  }

  /** Writes what waits and may go. */
  #go(): void {
    while (this.#waiting.length > 0 && this.#busy < this.#mostInFlight) {
      if (this.#end !== undefined || this.#renewing) return
      const now = performance.now()
      if (now < this.#quietUntil) {
        this.#quietTimer ??= setTimeout(
          () => {
            this.#quietTimer = undefined
            this.#go()
          },
          Math.ceil(this.#quietUntil - now),
        )
        return
      }
      if (now >= this.#renewAt) {
        if (this.#inFlight.length === 0) void this.#renewLogin()
        return
      }
      const paused = this.idle(now)
      const asked = this.#waiting.shift()!
      if (!paused) {
        this.#write(asked, now)
        continue
      }
      this.#socket.cork()
      this.#accompany()
      this.#write(asked, now)
      this.#socket.uncork()
    }
  }

  #accompany(): void {
    const done = (): void => {
      this.#companion = undefined
    }
    const version = this.#offered.has(apiVersions.key) ? this.version(apiVersions) : 0
    this.#companion = this.#asked(apiVersions, software, version, done, true)
    this.#write(this.#companion)
    this.#silence.hasten()
  }

  async #renewLogin(): Promise<void> {
    this.#renewing = true
    try {
      await this.#renew!()
      this.#renewing = false
      this.#go()
    } catch (error) {
      this.#finish(errorOf(error))
    }
  }

  #write(asked: Asked, now: number = performance.now()): void {
    asked.correlation = this.#correlation
    const header = { version: asked.version, correlation: asked.correlation, clientId: this.#clientId }
    let pieces: readonly Buffer[]
    try {
      pieces = encodeRequest(asked.api, asked.request, header)
    } catch (error) {
      process.nextTick(asked.done, error)
      return
    }
    this.#correlation = (this.#correlation + 1) & 0x7fffffff
    this.#inFlight.push(asked)
    if (!asked.own) this.#busy++
    if (pieces.length > 1) this.#socket.cork()
    for (const piece of pieces) this.#socket.write(piece)
    if (pieces.length > 1) this.#socket.uncork()
    if (this.#inFlight.length === 1) this.#silence.begin(now)
  }

  #received(bytes: Buffer): void {
    this.#silence.since = performance.now()
    if (!this.#heard && !this.#secure && isTlsRecord(bytes)) {
      this.#finish(new Refusal('it speaks TLS there, and we do not (option tls)'))
      return
    }
    this.#heard = true
    try {
      this.#frames.push(bytes)
    } catch (error) {
      if (!(error instanceof MalformedAnswer)) throw error
      this.#finish(error)
    }
  }

  #answered(frame: Buffer): void {
    const asked = this.#inFlight.shift()
    if (asked === undefined || asked.correlation !== frame.readInt32BE(0)) {
      if (asked !== undefined) this.#inFlight.unshift(asked)
      throw new MalformedAnswer('an answer came that was not asked for')
    }
    if (!asked.own) this.#busy--
    const { api, version } = asked
    const flexible = version >= api.flexibleFrom
    const reader = new Reader(frame, flexible, 4)
    let answer: unknown
    try {
      // ApiVersions has the old header always, for clients that do not know yet what the broker speaks.
      if (flexible && api.key !== apiVersions.key) reader.tags()
      if (version >= api.throttledFrom) reader.throttle = reader.int32()
      answer = api.read(reader, version)
    } catch (error) {
      const problem = new MalformedAnswer(`an answer to ${api.name} cannot be read`, { cause: error })
      this.#finish(problem)
      asked.done(this.#end!.error)
      return
    }
    if (reader.throttle > 0) this.#quietUntil = this.#silence.since + reader.throttle
    if (this.#waiting.length > 0) this.#go()
    asked.done(null, answer)
  }

  /** While it is being made, there is a time limit on the whole. */
  #silenceLimit(): number | undefined {
    if (this.#inFlight.length === 0 || this.stage !== undefined) return undefined
    return this.#companion === undefined ? this.#limit : Math.min(this.#limit, COMPANION_LIMIT)
  }

  #silent(milliseconds: number): void {
    this.#forgotten = this.#companion !== undefined
    const [awaited] = this.#inFlight
    const what = awaited === undefined ? 'an answer' : `an answer to ${awaited.api.name}`
    const text = `not a byte for ${Math.round(milliseconds)} ms while ${what} was awaited`
    this.#finish(new NetworkFailure(text, { silent: true }))
  }

  #finish(why: Error): void {
    if (this.#end !== undefined) return
    this.#end = endOf(this.#address, why, this.stage ?? 'in use')
    clearTimeout(this.#quietTimer)
    this.#silence.stop()
    this.#frames.stop()
    this.#socket.destroy()
    const failed = [...this.#inFlight.splice(0), ...this.#waiting.splice(0)]
    const { error } = this.#end
    // Not at once: whoever cuts it, or has just sent, is not to be called back before it has returned.
    process.nextTick(() => {
      for (const one of failed) one.done(error)
    })
    for (const reject of this.#bound) reject(error)
    this.onEnd?.()
  }
}

/** Bytes that were written and have not reached the operating system. */
function queuedIn(socket: Socket): number {
  // As Node's own `setTimeout` of a socket looks at it; there is no public way.
  const handle = Reflect.get(socket, '_handle') as { readonly writeQueueSize?: number } | null | undefined
  return socket.writableLength + (handle?.writeQueueSize ?? 0)
}
