/** The model of the log, against the domain's own code and against a database that does not agree with it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apply, kinds, type Action, type Kind, type Shop } from '../src/domain/radius.ts'
import { differences, type StoredShop } from '../src/model/compare.ts'
import { Model } from '../src/model/model.ts'

const request = (kind: string, action: string) => ({ id: 'i', key: 'shop-1', data: { kind, action } })

/** The model after these, of one shop. */
function after(...changes: readonly [kind: string, action: string][]): Model {
  const model = new Model(3_000)
  for (const [kind, action] of changes) model.next(request(kind, action))
  return model
}

function stored(model: Model): StoredShop {
  return { id: 'shop-1', base: 3_000, ...model.shops.get('shop-1')! }
}

test('the reduction that came last counts, and when it ends, the one before it', () => {
  const model = new Model(3_000)
  const radius = (kind: string, action: string): number => {
    assert.ok(model.next(request(kind, action)))
    return model.shops.get('shop-1')!.radius
  }
  assert.equal(radius('rider-shortage', 'begin'), 1_800)
  assert.equal(radius('system-failure', 'begin'), 300)
  assert.equal(radius('bad-weather', 'begin'), 1_200)
  assert.equal(radius('system-failure', 'end'), 1_200)
  assert.equal(radius('bad-weather', 'end'), 1_800)
  assert.equal(radius('rider-shortage', 'end'), 3_000)
})

test('what goes on already does not begin, what does not go on does not end, and neither counts as a change', () => {
  const model = after(['bad-weather', 'begin'])
  assert.equal(model.next(request('bad-weather', 'begin')), false)
  assert.equal(model.next(request('rider-shortage', 'end')), false)
  assert.deepEqual(model.shops.get('shop-1'), { radius: 1_200, active: ['bad-weather'], changes: 1 })
})

test('it agrees with the domain on every sequence of five changes', () => {
  const all = kinds.flatMap((kind) => (['begin', 'end'] as const).map((action) => ({ kind, action })))
  const walk = (model: readonly { kind: Kind; action: Action }[], shop: Shop): void => {
    const replayed = after(...model.map(({ kind, action }) => [kind, action] as [string, string]))
    const { radius, active } = replayed.shops.get('shop-1') ?? { radius: 3_000, active: [] }
    assert.deepEqual({ radius, active }, { radius: shop.radius, active: shop.active })
    if (model.length === 5) return
    for (const change of all) {
      const applied = apply(shop, change)
      walk([...model, change], 'shop' in applied ? applied.shop : shop)
    }
  }
  walk([], { base: 3_000, radius: 3_000, active: [] })
})

test('a database in which two changes were applied the other way round differs', () => {
  const right = after(['rider-shortage', 'begin'], ['system-failure', 'begin'])
  const wrong = after(['system-failure', 'begin'], ['rider-shortage', 'begin'])
  assert.deepEqual(differences([stored(right)], right.shops), [])
  assert.deepEqual(differences([stored(wrong)], right.shops), [
    'shop-1 is 1800 m after 2 changes (system-failure, rider-shortage); ' +
      'it must be 300 m after 2 changes (rider-shortage, system-failure)',
  ])
})

test('a change that is missing differs, and so does one that was made twice, although the radius is right', () => {
  const right = after(['rider-shortage', 'begin'], ['system-failure', 'begin'])
  for (const changes of [1, 3])
    assert.equal(differences([{ ...stored(right), changes }], right.shops).length, 1)
})

test('a shop that nobody has changed must be as it was, and one that was changed must be there', () => {
  const untouched: StoredShop = { id: 'shop-2', base: 3_000, radius: 3_000, active: [], changes: 0 }
  const right = after(['rider-shortage', 'begin'])
  assert.deepEqual(differences([stored(right), untouched], right.shops), [])
  assert.match(
    differences([stored(right), { ...untouched, radius: 1 }], right.shops).join(),
    /^shop-2 is 1 m/,
  )
  assert.match(differences([untouched], right.shops).join(), /^shop-1 was to be changed, and is not/)
})
