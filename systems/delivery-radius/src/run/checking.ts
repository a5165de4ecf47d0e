/** At the end: every shop held against the model of the log, and every caller's list against what the model refuses. */
import { JsonClient } from '@milena/hosting'
import type { Pool } from 'pg'
import { readShops } from '../database/shops.ts'
import { differences } from '../model/compare.ts'
import { modelLog } from '../model/log.ts'
import type { DeliverySystem } from '../system.ts'
import { listChanges, type ListedChange } from '../ways/changes-list.ts'
import { isRefused } from '../ways/request-reply.ts'

export interface Checked {
  readonly shops: number
  /** In the log. */
  readonly requests: number
  /** Changes that the model refuses: each must be in the list of failed ones. */
  readonly refused: number
  /** Listed as failed for another reason, and left out of the model. */
  readonly failed: number
  /** Of which nobody knows. */
  readonly unknown: number
  /** What differs, in words. */
  readonly differences: readonly string[]
}

/** Metres: what all shops begin with. */
const base = 3_000

/** @param made changes of which callers were told that they were made */
export async function check(system: DeliverySystem, pool: Pool, made: number): Promise<Checked> {
  const [failed, unknown] = await listed(system)
  const refused = new Set(failed.filter(isRefused).map(({ id }) => id))
  const notMade = new Set(failed.filter((one) => !isRefused(one)).map(({ id }) => id))
  // What a worker has answered was in the log.
  const answered = made + refused.size
  const { brokers, topics } = system
  const model = await modelLog({ brokers, topic: topics.topic, base, notMade })
  const stored = await readShops(pool)
  return {
    shops: stored.size,
    requests: model.requests,
    refused: model.refused.size,
    failed: notMade.size,
    unknown: unknown.length,
    differences: [
      ...(model.requests < answered
        ? [`callers were told what became of ${answered} changes, and the log has ${model.requests}`]
        : []),
      ...differences(stored.values(), model.shops),
      ...[...model.refused]
        .filter((id) => !refused.has(id))
        .map((id) => `${id} must have been refused, and its caller was not told`),
      ...[...refused]
        .filter((id) => !model.refused.has(id))
        .map((id) => `${id} must have been made, and its caller was told that it was refused`),
    ],
  }
}

async function listed(
  system: DeliverySystem,
): Promise<readonly [failed: readonly ListedChange[], unknown: readonly ListedChange[]]> {
  const client = new JsonClient(system.requesters[0]!.url, 1)
  const all = async (status: 'failed' | 'unknown'): Promise<readonly ListedChange[]> => {
    const found: ListedChange[] = []
    for await (const one of listChanges(client, status)) found.push(one)
    return found
  }
  try {
    return [await all('failed'), await all('unknown')]
  } finally {
    client.close()
  }
}
