/** Settings of the group coordinator; the names in parentheses are Kafka's. */
export interface GroupOptions {
  /** How long an empty group waits for more members before its first generation, in ms (`group.initial.rebalance.delay.ms`). Default 20; Kafka's is 3000. */
  initialRebalanceDelayMs?: number
  /** Smallest session timeout a member may ask for, in ms (`group.min.session.timeout.ms`). Default 6000. */
  minSessionTimeoutMs?: number
  /** Largest session timeout a member may ask for, in ms (`group.max.session.timeout.ms`). Default 1800000. */
  maxSessionTimeoutMs?: number
  /** How long a new member's JoinGroup may stay parked before the member is given up, in ms. Default 300000. */
  newMemberJoinTimeoutMs?: number
  /** Members of one group, and pending members of one group (`group.max.size`). Default 1000. */
  maxGroupSize?: number
  /** UTF-16 units of metadata with one committed offset (`offset.metadata.max.bytes`, which counts these). Default 4096. */
  maxOffsetMetadataBytes?: number
  /**
   * Groups at once. For one more the group without members that was unused for the longest is forgotten with its
   * offsets, if it was for a minute; else the new one is refused. Default 10000.
   */
  maxGroups?: number
  /**
   * Bytes that all groups, members, assignments and offsets together may keep; one group may have a quarter. At the bound
   * groups without members are forgotten as at `maxGroups`, and what does not fit then is refused. Default 256 MiB.
   */
  maxBytes?: number
  /**
   * How long committed offsets are kept after their group lost its last member, or after their commit in a group that
   * never had one, in ms (`offsets.retention.minutes`, KIP-211). Default 604800000, seven days.
   */
  offsetsRetentionMs?: number
  /** How often offsets expire and empty groups without any are forgotten, in ms (`offsets.retention.check.interval.ms`). Default 600000. */
  emptyGroupCheckMs?: number
}

const defaults: Required<GroupOptions> = {
  initialRebalanceDelayMs: 20,
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 1_800_000,
  newMemberJoinTimeoutMs: 300_000,
  maxGroupSize: 1000,
  maxOffsetMetadataBytes: 4096,
  maxGroups: 10_000,
  maxBytes: 256 * 1024 * 1024,
  offsetsRetentionMs: 604_800_000,
  emptyGroupCheckMs: 600_000,
}

const smallest: Partial<Record<keyof GroupOptions, number>> = {
  initialRebalanceDelayMs: 0,
  maxOffsetMetadataBytes: 0,
}

/** Fills in the defaults; throws one `RangeError` that names every setting that is no whole number in range. */
export function completeGroupOptions(given: GroupOptions = {}): Required<GroupOptions> {
  const options = { ...defaults, ...withoutUndefined(given) }
  const problems: string[] = []
  for (const [name, value] of Object.entries(options)) {
    const least = smallest[name as keyof GroupOptions] ?? 1
    if (!(name in defaults)) problems.push(`${name} is not a setting`)
    else if (!Number.isInteger(value) || value < least || value > 2 ** 31 - 1) {
      problems.push(`${name} must be a whole number from ${least} to 2147483647, not ${String(value)}`)
    }
  }
  if (options.minSessionTimeoutMs > options.maxSessionTimeoutMs) {
    problems.push('minSessionTimeoutMs must not be above maxSessionTimeoutMs')
  }
  if (problems.length > 0) throw new RangeError(`group settings: ${problems.join('; ')}`)
  return options
}

function withoutUndefined(given: GroupOptions): GroupOptions {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
