/** `GET /changes`: what a requester's callers can learn of changes that were not made. */
import type { JsonClient } from '@milena/hosting'

export interface ListedChange {
  readonly id: string
  readonly trigger: string
  readonly shop: string
  readonly status: 'failed' | 'unknown' | 'done'
  readonly code: string | null
}

const limit = 1_000

/** All of them, page by page, in the order in which they were stored. */
export async function* listChanges(
  client: JsonClient,
  status: ListedChange['status'],
): AsyncGenerator<ListedChange> {
  for (let after: string | undefined = ''; after !== undefined;) {
    const path = `/changes?status=${status}&limit=${limit}${after === '' ? '' : `&after=${encodeURIComponent(after)}`}`
    // oxlint-disable-next-line no-await-in-loop -- each page begins where the one before ends
    const answer = await client.call({ method: 'GET', path, timeout: 60_000 })
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    const page = answer.body as { readonly changes: readonly ListedChange[]; readonly next?: string }
    yield* page.changes
    after = page.next
  }
}
