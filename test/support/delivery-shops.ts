/** The shops of the delivery radius system: as they are stored, and as the order of acceptance has them. */
import assert from 'node:assert/strict'
import { openKafka, type IncomingRecord } from '@milena/request-reply'
import { readShops, type DeliverySystem, type StoredShop } from '@milena/system-delivery-radius'
import type { Pool } from 'pg'
import type { ChangeRequest } from '../../systems/delivery-radius/src/domain/messages.ts'
import { apply, type Shop } from '../../systems/delivery-radius/src/domain/radius.ts'

type State = Pick<Shop, 'radius' | 'active'> & Pick<StoredShop, 'changes'>

/** Shops that have changed, as they are stored. */
export async function storedShops(pool: Pool): Promise<Record<string, State>> {
  const states: Record<string, State> = {}
  for (const { id, radius, active, changes } of (await readShops(pool)).values())
    if (changes > 0) states[id] = { radius, active, changes }
  return states
}

/** Shops that have changed, by the topic's changes, one after the other. */
export async function shopsByLog(system: DeliverySystem): Promise<Record<string, State>> {
  const states: Record<string, State> = {}
  await readAll(system, system.topics.topic, ({ key: recordKey, value }) => {
    const { key, data } = JSON.parse(String(value)) as ChangeRequest
    if (!key.startsWith('shop-') || String(recordKey) !== key) return
    const before = states[key] ?? { radius: 3_000, active: [], changes: 0 }
    const applied = apply({ base: 3_000, ...before }, data)
    if (!('shop' in applied)) return
    const { radius, active } = applied.shop
    states[key] = { radius, active, changes: before.changes + 1 }
  })
  return states
}

/** Reads a topic up to where it ends now. */
export async function readAll(
  system: DeliverySystem,
  topic: string,
  onRecord: (record: IncomingRecord) => void,
): Promise<void> {
  await using transport = await openKafka({ brokers: system.brokers.split(',') })
  let failed: unknown
  const tail = await transport.tail({
    topic,
    partitions: 'all',
    from: 'earliest',
    onRecords: (records) => records.forEach(onRecord),
    onError: (error) => (failed ??= error),
    onUnreadable: (range) => (failed ??= range),
  })
  try {
    await tail.caughtUp()
  } finally {
    await tail.close()
  }
  assert.equal(failed, undefined)
}
