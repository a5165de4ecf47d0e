/** The lease of this very instance: renewed while it lives, given back when it closes, and watched for a second owner. */
import { hostname } from 'node:os'
import { OptionsError } from '../errors.ts'
import type { TopicPartition } from '../transport/transport.ts'
import type { Lease, LeaseTable } from './leases.ts'
import type { RoutingContext } from './routing.ts'

/** Who holds a lease, for people. */
const holder = `${process.pid}@${hostname().replaceAll(/\s/g, '_').slice(0, 250)}`

export class OwnLease {
  readonly #table: LeaseTable
  readonly place: TopicPartition
  readonly #context: RoutingContext
  /** What we wrote last, and what we last wrote for certain; a write between the two may have come through. */
  #latest: number | undefined
  #certain = 0
  /** A renewal that is not ours: one may be a predecessor's, which was still on its way; two are a living owner's. */
  #foreign: number | undefined
  #told = false

  constructor(table: LeaseTable, { topic, partition }: TopicPartition, context: RoutingContext) {
    this.#table = table
    this.place = { topic, partition }
    this.#context = context
  }

  /** Writes it anew, also when it could not be looked at before; `answers` is a question that this answers. */
  async renew(answers?: string): Promise<void> {
    try {
      if (this.#latest !== undefined) this.#look(await this.#read())
    } finally {
      await this.#write(answers)
    }
  }

  /** Gives it back, unless it is somebody else's by now: of two that share an address the other one lives on. */
  async release(): Promise<void> {
    const lease = await this.#read()
    if (lease !== undefined && this.#isOurs(lease)) await this.#table.release(this.place)
  }

  /** Whether an instance that was started under our instance id before we ended has the address now. */
  async hasSuccessor(): Promise<boolean> {
    const lease = await this.#read()
    return lease !== undefined && lease.renewedAt > Math.max(this.#latest ?? 0, this.#certain)
  }

  async #read(): Promise<Lease | undefined> {
    const { topic, partition } = this.place
    return (await this.#table.read([topic])).find((lease) => lease.partition === partition)
  }

  async #write(answers: string | undefined): Promise<void> {
    const renewedAt = Math.round(this.#context.clock.now())
    this.#latest = renewedAt
    await this.#table.write({ ...this.place, owner: this.#context.instanceId, renewedAt, holder, answers })
    this.#certain = renewedAt
  }

  #isOurs({ owner, renewedAt }: Lease): boolean {
    if (owner !== this.#context.instanceId || this.#latest === undefined) return false
    const [from, to] = [Math.min(this.#latest, this.#certain), Math.max(this.#latest, this.#certain)]
    return renewedAt >= from && renewedAt <= to
  }

  #look(lease: Lease | undefined): void {
    if (lease === undefined || lease.owner !== this.#context.instanceId || this.#isOurs(lease)) return
    const before = this.#foreign
    this.#foreign = lease.renewedAt
    if (this.#told || before === undefined || before === lease.renewedAt) return
    this.#told = true
    this.#context.warn(
      new OptionsError(`instanceId ${this.#context.instanceId}`, [
        `another living instance has it too, and renews the lease of ${this.place.topic}[${this.place.partition}]; ` +
          'each must have its own, or one takes the address away when it closes',
      ]),
    )
  }
}
