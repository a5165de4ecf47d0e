/** What the requesting side of every program here understands, and answers. */
import type { Program } from './program.ts'

/** What a requester is to do. It ends after `requests` or `milliseconds`, whichever comes first; one must be given. */
export interface Order {
  readonly topic: string
  readonly requests?: number
  readonly milliseconds?: number
  /** Closed loop: requests in flight. Default 1. */
  readonly inFlight?: number
  /** Open loop: requests a second, at random (Poisson) times; latency counts from the intended time. */
  readonly rate?: number
  /** Least number of bytes of a value. Default: just the request's number. */
  readonly bytes?: number
  /** How many different keys, `key-0` and so on, in turn. Default 0: null keys. */
  readonly keys?: number
  /** The value of all of them, for SmallRye alone. Default: by `bytes` and number. */
  readonly text?: string
  /** `json`, for NestJS alone: an object `{ number, say }`, answered with `{ number, said }`. Default `text`. */
  readonly shape?: 'text' | 'json'
}

/** What became of the requests of an order. */
export interface OrderResult {
  readonly answered: number
  /** Answered with something else than prefix and request. */
  readonly wrong: number
  readonly failed: number
  /** The last failure, empty without one. */
  readonly problem: string
  /** NestJS: the last failure as its caller has got it. */
  readonly failure?: unknown
  /** From the first request until all had ended. */
  readonly milliseconds: number
  /** Of those answered, in microseconds. */
  readonly latency: {
    readonly p50: number
    readonly p90: number
    readonly p99: number
    readonly p999: number
    readonly max: number
  }
}

/** A program that asks. */
export interface OtherRequester extends AsyncDisposable {
  /** The process whose CPU time and memory count. */
  readonly pid: number
  /** Resolves when all requests of the order have ended. One order at a time. */
  ask(order: Order): Promise<OrderResult>
  /** Ends the process, with whatever else runs in it. */
  close(): Promise<void>
}

/**
 * @param timeout milliseconds after which a request of this program ends without a reply
 * @param to which part of the program asks, where it has several
 */
export function requesterOf(program: Program, timeout: number, to?: number): OtherRequester {
  const close = (): Promise<void> => program.close()
  return {
    pid: program.pid,
    async ask(order) {
      if (order.requests === undefined && order.milliseconds === undefined) {
        throw new Error('an order needs requests or milliseconds')
      }
      program.tell(to === undefined ? orderLine(order) : `to=${to} ${orderLine(order)}`)
      return program.next<OrderResult>('asked', (order.milliseconds ?? 0) + 2 * timeout + 60_000)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function orderLine({ inFlight, ...others }: Order): string {
  return Object.entries({ ...others, 'in-flight': inFlight })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
