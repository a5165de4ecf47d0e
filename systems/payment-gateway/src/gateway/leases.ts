/**
 * Which gateway processes are alive. Each renews its lease; what a process with an expired lease was waiting for is
 * taken over by whichever gateway looks first.
 *
 * A lease only decides when to begin asking the provider: a gateway that was merely slow and comes back loses
 * nothing, for its reply settles an unknown payment just as well.
 */
import type { Pool } from 'pg'

/** Seconds that a lease lives without renewal, and milliseconds between renewals. */
const validity = 3
const renewal = 1_000

export class Lease {
  readonly #pool: Pool
  readonly #owner: string
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<void> = Promise.resolve()

  /** `owner` is unique to the process: a gateway that was restarted is another owner under the same name. */
  constructor(pool: Pool, owner: string) {
    this.#pool = pool
    this.#owner = owner
  }

  /** Takes the lease and keeps it. */
  async start(): Promise<void> {
    await this.#renew()
    this.#timer = setInterval(() => {
      // Should the database be away for longer than the lease lives, others will begin to ask: no harm is done.
      this.#renewing = this.#renew().catch(() => {})
    }, renewal)
  }

  async #renew(): Promise<void> {
    await this.#pool.query(
      `insert into gateway_leases (owner, expires_at) values ($1, now() + make_interval(secs => $2))
       on conflict (owner) do update set expires_at = excluded.expires_at`,
      [this.#owner, validity],
    )
  }

  /** Ends the leases that earlier processes of this gateway's name have left: there is only one at a time. */
  async endEarlier(name: string): Promise<void> {
    await this.#pool.query(`delete from gateway_leases where starts_with(owner, $1) and owner <> $2`, [
      `${name}:`,
      this.#owner,
    ])
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewing
    await this.#pool.query('delete from gateway_leases where owner = $1', [this.#owner])
  }
}

/**
 * Turns what nobody waits for any more from pending into unknown, with a dead letter each: payments of dead gateways,
 * and those so old that their gateway cannot still be waiting (it could not write the outcome down).
 */
export async function takeOver(pool: Pool, tooOldSeconds: number): Promise<number> {
  const { rowCount } = await pool.query(
    `with lost as (
       update payments p set state = 'unknown', next_ask_at = now() where state = 'pending' and (
         created_at < now() - make_interval(secs => $1)
         or not exists (select 1 from gateway_leases l where l.owner = p.owner and l.expires_at > now()))
       returning *),
     kept as (
       insert into dead_letters (kind, id, reason, request)
       select kind, id, 'its gateway died', to_jsonb(lost) from lost on conflict do nothing)
     insert into payment_events (kind, id, event, details)
     select kind, id, 'gateway-lost', jsonb_build_object('gateway', owner) from lost`,
    [tooOldSeconds],
  )
  return rowCount ?? 0
}
