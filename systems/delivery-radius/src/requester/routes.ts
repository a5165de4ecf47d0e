/** The requester over HTTP. */
import {
  isAway,
  problem,
  ProblemError,
  sendEvents,
  textSchema,
  unavailable,
  type App,
  type Watching,
} from '@milena/hosting'
import { z } from 'zod'
import type { ChangeStore } from './change-store.ts'
import {
  acceptedSchema,
  changeSchema,
  changesQuery,
  changesSchema,
  progressSchema,
  triggerRequestSchema,
  type Progress,
} from './schemas.ts'
import type { Triggers } from './triggers.ts'

const idParams = z.object({ id: textSchema })

export function addTriggerRoutes(app: App, triggers: Triggers, watching: Watching): void {
  app.post(
    '/triggers',
    {
      schema: {
        summary: 'Change the delivery radius of shops: answered at once, the changes run behind it',
        body: triggerRequestSchema,
        response: {
          202: acceptedSchema,
          400: problem('an invalid request; every problem is listed'),
          503: problem('too many triggers run, it is closing, or the database is away; nothing was begun'),
        },
      },
    },
    async ({ body }, reply) => {
      const { id, total } = await triggers.begin(body)
      const self = `/triggers/${id}`
      return reply
        .code(202)
        .header('location', self)
        .send({ id, total, links: { self, events: `${self}/events` } })
    },
  )

  app.get(
    '/triggers/:id',
    {
      schema: {
        summary: 'How far a trigger is',
        params: idParams,
        response: { 200: progressSchema, 404: problem('there is none') },
      },
    },
    ({ params: { id } }) => find(id),
  )

  app.get(
    '/triggers/:id/events',
    {
      schema: {
        summary:
          'How far a trigger is, again and again until it has finished or is interrupted: server-sent events',
        params: idParams,
        response: {
          200: z.any().describe('text/event-stream'),
          404: problem('there is none'),
          503: problem('too many are watching; ask for the trigger instead'),
        },
      },
    },
    async ({ params: { id } }, reply) => {
      await find(id)
      if (watching.isFull) throw unavailable('too many are watching')
      const progress = watching.watch<Progress>({
        look: () => triggers.progress(id),
        isNews: () => true,
        isLast: ({ state }) => state !== 'running',
      })
      return sendEvents(reply, progress)
    },
  )

  async function find(id: string): Promise<Progress> {
    const found = await triggers.progress(id)
    if (found === undefined) throw new ProblemError(404, 'No such trigger', { trigger: id })
    return found
  }
}

export function addChangeRoutes(app: App, triggers: Triggers, store: ChangeStore): void {
  app.get(
    '/changes',
    {
      schema: {
        summary: 'Changes that were not made, or of which nobody knows: those of all requesters',
        querystring: changesQuery,
        response: { 200: changesSchema, 400: problem('an invalid request; every problem is listed') },
      },
    },
    async ({ query }) => {
      const { after } = query
      if (after !== undefined && (await store.find(after)) === undefined)
        throw new ProblemError(400, 'Invalid request', { detail: `after: there is no change ${after}` })
      const changes = await store.list(query)
      const last = changes.length === query.limit ? changes.at(-1) : undefined
      return { changes, ...(last !== undefined && { next: last.id }) }
    },
  )

  app.post(
    '/changes/:id/retry',
    {
      schema: {
        summary: 'Try a failed change again: answered with how it stands then',
        params: idParams,
        response: {
          200: changeSchema,
          404: problem('there is none'),
          409: problem('it has not failed: it may have been made'),
          503: problem('not now; nothing was done'),
          504: problem('the database does not answer: it may have been tried'),
        },
      },
    },
    async ({ params: { id } }) => {
      const found = await store.find(id)
      if (found === undefined) throw new ProblemError(404, 'No such change', { change: id })
      const tried = await triggers.retry(found).catch((error: unknown) => {
        throw isAway(error) ? retryUnknown(id) : error
      })
      if (tried !== undefined) return tried
      const { status } = (await store.find(id)) ?? found
      throw new ProblemError(409, `This change is ${status}, not failed`, { change: id })
    },
  )
}

function retryUnknown(change: string): ProblemError {
  return new ProblemError(504, 'No answer of the database', {
    code: 'RETRY_UNKNOWN',
    change,
    detail:
      'whether it was tried is not known: GET /changes tells how it stands; one that is failed can be tried again',
  })
}
