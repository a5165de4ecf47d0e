/**
 * Applies changes of many shops with two statements, however many there are: the shops are read, the domain decides, and
 * the shops are written that nobody else has written since.
 *
 * Where a shop's last change stands in the log is in its row. So a change that comes again is known, and gets the answer that
 * it got; and of two workers that hold the same change, since one was paused while its partitions went to another, one
 * writes, and the other reads again and finds it done.
 */
import type { ReplyError } from '@milena/request-reply'
import type { Pool } from 'pg'
import type { Changed } from '../domain/messages.ts'
import { apply, type Change } from '../domain/radius.ts'
import { answeredBefore, shopUnknown, toReply, type Answer } from './answers.ts'
import { readRows, writeRows, type ShopRow, type Write } from './shop-rows.ts'

/** A change, and where it stands in the log. Of one shop there is one at a time. */
export interface AskedChange extends Change {
  readonly shop: string
  readonly partition: number
  readonly offset: number
}

/** Answers that a row keeps: of a shop so many changes may have been made since the last commit to the log. */
const kept = 8

/** Returns a reply for each, in the same order. */
export async function applyChanges(
  pool: Pool,
  asked: readonly AskedChange[],
): Promise<readonly (Changed | Error)[]> {
  const replies = new Map<AskedChange, Changed | ReplyError>()
  for (let left = asked; left.length > 0; left = left.filter((each) => !replies.has(each))) {
    const ids = left.map(({ shop }) => shop)
    const rows = await readRows(pool, ids)
    const writes = new Map<AskedChange, Write>()
    for (const each of left) {
      const row = rows.get(each.shop)
      const reply = row === undefined ? shopUnknown(each.shop) : replyBefore(row, each)
      if (reply !== undefined) replies.set(each, reply)
      else writes.set(each, { before: row!, after: rowAfter(row!, each) })
    }
    if (writes.size === 0) break
    const written = await writeRows(pool, [...writes.values()])
    for (const [each, { after }] of writes)
      if (written.has(each.shop)) replies.set(each, toReply(each.shop, after.answers.at(-1)!))
  }
  return asked.map((each) => replies.get(each)!)
}

/** The reply to a change that has come before. */
function replyBefore(
  row: ShopRow,
  { shop, partition, offset }: AskedChange,
): Changed | ReplyError | undefined {
  if (row.offset === null || row.partition !== partition || offset > row.offset) return undefined
  const answer = row.answers.find((one) => one.offset === offset)
  return answer === undefined ? answeredBefore(shop) : toReply(shop, answer)
}

function rowAfter(row: ShopRow, change: AskedChange): ShopRow {
  const { partition, offset } = change
  const applied = apply(row, change)
  const { radius, active } = 'shop' in applied ? applied.shop : row
  const changes = 'shop' in applied ? row.changes + 1 : row.changes
  const answer: Answer = {
    offset,
    radius,
    changes,
    ...('refused' in applied && { refused: applied.refused }),
  }
  // Offsets of another partition say nothing here.
  const before = row.partition === partition ? row.answers.slice(1 - kept) : []
  return { ...row, radius, active, partition, offset, changes, answers: [...before, answer] }
}
