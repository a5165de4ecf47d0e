/**
 * Who reads what, as the cooperative-sticky assignor would have it: everybody keeps what they have, what is free goes to
 * those with the fewest, and only as much moves as evens the load out.
 */

export interface Assignee {
  /** The partitions, of those given, that this member may read. */
  wants(topic: string): boolean
}

export interface Claim<M> {
  readonly key: string
  readonly topic: string
  /** Who has it, or is to get it once it has been let go. */
  readonly holder: M | undefined
  /** It is on its way from one to another: it counts for `holder`, and is not moved again. */
  readonly moving: boolean
}

export interface Plan<M> {
  /** Free partitions and who gets them, now. */
  readonly assign: ReadonlyMap<string, M>
  /** Held partitions that are to be let go, and for whom. */
  readonly move: ReadonlyMap<string, M>
}

export function planBalance<M extends Assignee>(members: readonly M[], claims: readonly Claim<M>[]): Plan<M> {
  const load = new Map<M, number>(members.map((member) => [member, 0]))
  for (const { holder } of claims) if (holder) load.set(holder, load.get(holder)! + 1)
  const assign = new Map<string, M>()
  const move = new Map<string, M>()

  for (const claim of claims) {
    if (claim.holder) continue
    const taker = leastLoaded(members, load, claim.topic)
    if (!taker) continue
    assign.set(claim.key, taker)
    load.set(taker, load.get(taker)! + 1)
  }
  for (const claim of claims.toReversed()) {
    const { holder } = claim
    if (!holder || claim.moving) continue
    const taker = leastLoaded(members, load, claim.topic)
    if (!taker || load.get(holder)! - load.get(taker)! < 2) continue
    move.set(claim.key, taker)
    load.set(holder, load.get(holder)! - 1)
    load.set(taker, load.get(taker)! + 1)
  }
  return { assign, move }
}

function leastLoaded<M extends Assignee>(
  members: readonly M[],
  load: ReadonlyMap<M, number>,
  topic: string,
): M | undefined {
  let best: M | undefined
  for (const member of members)
    if (member.wants(topic) && (!best || load.get(member)! < load.get(best)!)) best = member
  return best
}
