/**
 * Whether brokers can be reached where they say that they are.
 *
 * A bootstrap address may answer, through a container's published port or a balancer, and name addresses that only mean
 * something elsewhere. Then nothing works, and nothing that fails later says why.
 *
 *   answered at an address that nobody advertises, and no broker was reached ──▶ each is tried
 *      ├─ one can be reached ──▶ all is well (others may be down)
 *      └─ none, for `PATIENCE`, and the bootstrap address goes on answering ──▶ a problem, until one can be reached
 */
import { TransportError } from '../../../errors.ts'
import type { BrokerAddress } from '../connection/connection.ts'
import { addressOf } from '../connection/connections.ts'
import { deepestMessage } from './kafka-errors.ts'

/** Milliseconds for which none could be reached: a broker that starts may answer here before it listens there. */
const PATIENCE = 2_000

export interface Advertised {
  /** The address that answered. */
  readonly by: BrokerAddress
  /** What it calls its brokers. */
  readonly nodes: readonly BrokerAddress[]
}

export type ReachVerdict = 'reached' | 'doubtful' | TransportError

export class AdvertisedAddresses {
  readonly #reach: (broker: BrokerAddress) => Promise<unknown>
  readonly #onChange: () => void
  /** Since when none could be reached (`performance.now()`). */
  #since: number | undefined
  #trying: Promise<ReachVerdict> | undefined
  #problem: TransportError | undefined

  /** @param reach resolves when a broker can be reached; it must not take longer than a connection may */
  constructor(reach: (broker: BrokerAddress) => Promise<unknown>, onChange: () => void) {
    this.#reach = reach
    this.#onChange = onChange
  }

  /** As long as a bootstrap address answers, and nothing that it names can be reached. */
  get problem(): TransportError | undefined {
    return this.#problem
  }

  /** A broker was reached where it is said to be. */
  reached(): void {
    this.#since = undefined
    if (this.#problem === undefined) return
    this.#problem = undefined
    this.#onChange()
  }

  /** Tries all of them side by side, once; to be called after an answer, again and again while it is doubtful. */
  try(told: Advertised): Promise<ReachVerdict> {
    this.#trying ??= this.#try(told).finally(() => (this.#trying = undefined))
    return this.#trying
  }

  async #try({ by, nodes }: Advertised): Promise<ReachVerdict> {
    // Counted from here, and judged after an answer that came later than that.
    const began = performance.now()
    const judged = this.#since !== undefined && began - this.#since >= PATIENCE
    const tries = await Promise.allSettled(nodes.map((node) => this.#reach(node)))
    if (tries.some((one) => one.status === 'fulfilled')) {
      this.reached()
      return 'reached'
    }
    this.#since ??= began
    if (!judged) return 'doubtful'
    const failures = tries.map((one, index) => {
      const why = one.status === 'rejected' ? deepestMessage(one.reason) : ''
      const address = addressOf(nodes[index]!)
      return why.includes(address) ? why : `${address}: ${why}`
    })
    if (this.#problem !== undefined) return this.#problem
    this.#problem = unreachableAddresses(by, nodes, failures, tries)
    this.#onChange()
    return this.#problem
  }
}

function unreachableAddresses(
  by: BrokerAddress,
  nodes: readonly BrokerAddress[],
  failures: readonly string[],
  tries: readonly PromiseSettledResult<unknown>[],
): TransportError {
  const [first] = tries
  const one = nodes.length === 1
  return new TransportError(
    'MILENA_BROKER_UNREACHABLE',
    `${addressOf(by)} answered, and calls ${one ? 'its broker' : 'its brokers'} ${nodes.map(addressOf).join(', ')}, ` +
      `${one ? 'which cannot' : 'none of which can'} be reached from here (${failures.join('; ')}); ` +
      `check advertised.listeners of the ${one ? 'broker' : 'brokers'}: clients connect to what stands there`,
    { cause: first?.status === 'rejected' ? first.reason : undefined },
  )
}
