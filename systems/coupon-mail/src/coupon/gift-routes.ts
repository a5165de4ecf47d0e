/** The gifts over HTTP. */
import { problem, ProblemError, unavailable, type App } from '@milena/hosting'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { eventsOf } from './events.ts'
import type { Gifts } from './gifts.ts'
import type { Coupon } from './mail-text.ts'
import { giftPageSchema, giftRequestSchema, giftSchema, giftStates, idSchema, type Gift } from './schemas.ts'

/** Who may watch at once; each looks into the database now and then. */
const mostWatchers = 100

const params = z.object({ id: idSchema })

export function addGiftRoutes(app: App, gifts: Gifts): void {
  app.post(
    '/coupons/:id/gift',
    {
      schema: {
        summary: 'Gives a coupon: answered as soon as it is stored; its mail is sent afterwards',
        params,
        body: giftRequestSchema,
        response: {
          202: giftSchema.describe('stored; its address is in `location` and `links`'),
          400: problem('an invalid request; every problem is listed'),
          404: problem('there is no such coupon'),
          409: problem('the same giftId with another content'),
        },
      },
    },
    async ({ params: { id }, body }, reply) => {
      const gift = await gifts.give(await existing(gifts, id), body)
      if (gift === undefined)
        throw new ProblemError(409, 'This gift exists with other content', { giftId: body.giftId })
      return reply.code(202).header('location', gift.links.self).send(gift)
    },
  )

  app.get(
    '/gifts/:id',
    {
      schema: {
        summary: 'How a gift stands',
        params,
        response: { 200: giftSchema, 404: problem('there is none') },
      },
    },
    ({ params: { id } }) => known(gifts, id),
  )

  app.get(
    '/gifts',
    {
      schema: {
        summary: 'Gifts, in the order in which they were stored, page by page',
        querystring: z.object({
          state: z.enum(giftStates).optional(),
          limit: z.coerce.number().int().min(1).max(500).default(50),
          after: z
            .string()
            .regex(/^\d{1,18}$/)
            .default('0')
            .describe('as `next` has it'),
        }),
        response: { 200: giftPageSchema, 400: problem('an invalid request; every problem is listed') },
      },
    },
    ({ query: { state, limit, after } }) => gifts.list(state, after, limit),
  )

  const closing = new AbortController()
  app.addHook('preClose', (done) => {
    closing.abort()
    done()
  })
  let watchers = 0
  app.get(
    '/gifts/:id/events',
    {
      schema: {
        summary:
          'A gift as it goes on: server-sent events, named as its states, each with the gift; ends with its end',
        params,
        response: {
          200: z.any().describe('text/event-stream'),
          404: problem('there is none'),
          503: problem('too many are watching; ask for the gift instead'),
        },
      },
    },
    async ({ params: { id } }, reply) => {
      await known(gifts, id)
      if (watchers >= mostWatchers) throw unavailable('too many are watching')
      watchers++
      const events = Readable.from(eventsOf(gifts, id, closing.signal))
      events.once('close', () => watchers--)
      return reply.type('text/event-stream').header('cache-control', 'no-store').send(events)
    },
  )
}

/** @throws ProblemError 404 */
export async function existing(gifts: Gifts, couponId: string): Promise<Coupon> {
  const coupon = await gifts.coupon(couponId)
  if (coupon !== undefined) return coupon
  const ids = (await gifts.coupons()).map(({ id }) => id)
  throw new ProblemError(404, 'No such coupon', { couponId, detail: `there are ${ids.join(', ')}` })
}

async function known(gifts: Gifts, giftId: string): Promise<Gift> {
  const gift = await gifts.find(giftId)
  if (gift === undefined) throw new ProblemError(404, 'No such gift', { giftId })
  return gift
}
