/** The gifts over HTTP. */
import {
  isAway,
  problem,
  ProblemError,
  sendEvents,
  unavailable,
  type App,
  type Watching,
} from '@milena/hosting'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Gifts } from './gifts.ts'
import type { Coupon } from './mail-text.ts'
import {
  giftPageSchema,
  giftRequestSchema,
  giftSchema,
  giftStates,
  idSchema,
  unknownGiftSchema,
  type Gift,
} from './schemas.ts'

const params = z.object({ id: idSchema })

export function addGiftRoutes(app: App, gifts: Gifts, watching: Watching): void {
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
          503: problem('not now: nothing was stored'),
          504: unknownGiftSchema,
        },
      },
    },
    async ({ params: { id }, body }, reply) => {
      const { giftId = randomUUID() } = body
      const coupon = await existing(gifts, id).catch((error: unknown) => {
        throw isAway(error) ? unavailable('the database cannot be read now; nothing was stored') : error
      })
      const gift = await gifts.give(coupon, { ...body, giftId }).catch((error: unknown) => {
        throw isAway(error) ? unknown(giftId) : error
      })
      if (gift === undefined) throw new ProblemError(409, 'This gift exists with other content', { giftId })
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

  app.get(
    '/gifts/:id/events',
    {
      schema: {
        summary:
          'A gift as it goes on: server-sent events, the gift at each of its states; they end with its end',
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
      if (watching.isFull) throw unavailable('too many are watching')
      const gift = watching.watch<Gift>({
        look: () => gifts.find(id),
        isNews: ({ state }, before) => state !== before.state,
        isLast: ({ state }) => state === 'sent' || state === 'failed',
      })
      return sendEvents(reply, gift)
    },
  )
}

/** Its name is told, as its caller may have given none: the same again without one would be another gift. */
function unknown(giftId: string): ProblemError {
  return new ProblemError(504, 'No answer of the database', {
    code: 'GIFT_UNKNOWN',
    giftId,
    detail: `whether it is stored is not known: GET /gifts/${giftId} tells, or send it again with this giftId`,
  })
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
