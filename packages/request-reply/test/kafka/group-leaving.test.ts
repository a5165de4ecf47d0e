import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refusal, unreachable } from '../../src/transport/kafka/cluster/kafka-errors.ts'
import { NetworkFailure } from '../../src/transport/kafka/connection/verdicts.ts'
import { leaveGroup } from '../../src/transport/kafka/group/leaving.ts'

const [UNKNOWN_MEMBER, LOADING, NOT_COORDINATOR] = [25, 14, 16]

function coordinator(...codes: number[]): { left: string[]; leave(memberId: string): Promise<number> } {
  const left: string[] = []
  return {
    left,
    leave(memberId) {
      left.push(memberId)
      return Promise.resolve(codes.shift() ?? 0)
    },
  }
}

describe('leaving a group', () => {
  test('says nothing to a coordinator that has not heard of the member', async () => {
    for (const isStatic of [false, true]) {
      const to = coordinator()
      await leaveGroup(to, { memberId: '', naming: undefined, isStatic })
      assert.deepEqual(to.left, [])
    }
  })

  test('waits for the name that is on its way to a dynamic member', async () => {
    const to = coordinator()
    const naming = Promise.withResolvers<string>()
    const leaving = leaveGroup(to, { memberId: '', naming: naming.promise, isStatic: false })
    assert.deepEqual(to.left, [])
    naming.resolve('m-1')
    await leaving
    assert.deepEqual(to.left, ['m-1'])
  })

  test('does not leave when its JoinGroup was not answered with a name', async () => {
    const to = coordinator()
    await leaveGroup(to, { memberId: '', naming: Promise.resolve(''), isStatic: false })
    assert.deepEqual(to.left, [])
  })

  test('takes a static member out by its instance id, until its JoinGroup has arrived', async () => {
    const to = coordinator(UNKNOWN_MEMBER, UNKNOWN_MEMBER, 0)
    await leaveGroup(to, { memberId: '', naming: new Promise(() => {}), isStatic: true })
    assert.deepEqual(to.left, ['', '', ''])
  })

  test('leaves as itself once a static member has its name: by then another may have the instance id', async () => {
    const to = coordinator()
    await leaveGroup(to, { memberId: '', naming: Promise.resolve('w-1'), isStatic: true })
    assert.deepEqual(to.left, ['w-1'])
  })

  test('goes on until whoever is the coordinator by then has taken it', async () => {
    const to = coordinator(NOT_COORDINATOR, LOADING)
    await leaveGroup(to, { memberId: 'm', naming: undefined, isStatic: false })
    assert.deepEqual(to.left, ['m', 'm', 'm'])
    for (const isStatic of [true, false]) {
      const failures = [
        new NetworkFailure('it died'),
        refusal(NOT_COORDINATOR, 'find it', { retryable: true }),
      ]
      const heir = coordinator()
      const leave = (memberId: string): Promise<number> => {
        const failure = failures.shift()
        return failure === undefined ? heir.leave(memberId) : Promise.reject(failure)
      }
      const naming = isStatic ? new Promise<string>(() => {}) : undefined
      await leaveGroup({ leave }, { memberId: isStatic ? '' : 'm', naming, isStatic })
      assert.deepEqual([heir.left, failures], [[isStatic ? '' : 'm'], []])
    }
  })

  test('is done with when the member is not there, or no broker answers', async () => {
    const to = coordinator(UNKNOWN_MEMBER)
    await leaveGroup(to, { memberId: 'm', naming: undefined, isStatic: false })
    assert.deepEqual(to.left, ['m'])
    let asked = 0
    const leave = (): Promise<never> => {
      asked++
      return Promise.reject(unreachable(['b:9092'], 'a request', undefined))
    }
    await leaveGroup({ leave }, { memberId: 'm', naming: undefined, isStatic: false })
    assert.equal(asked, 1)
  })

  test('gives up on a coordinator that does not answer', async () => {
    const silent = { leave: () => new Promise<number>(() => {}) }
    await leaveGroup(silent, { memberId: 'm', naming: undefined, isStatic: false }, 20)
    await leaveGroup(coordinator(), { memberId: '', naming: new Promise(() => {}), isStatic: false }, 20)
  })
})
