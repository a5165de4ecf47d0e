/** docs/systems.md: its pictures have the topics, groups and processes that the systems' sources have, and no others. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { defineMessages } from '../../coupon-mail/src/messages.ts'
import { namesOf } from '../../delivery-radius/src/domain/messages.ts'
import { groupOf } from '../../exchange/src/operations.ts'
import { topicsOf as exchangeTopics } from '../../exchange/src/topics.ts'
import { defineOperations, workerGroup } from '../../payment-gateway/src/operations.ts'
import { chooseRouting, routingNames } from '../../payment-gateway/src/routing/choose.ts'
import { namesOf as helloNames } from '../../prepaid/src/say.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const page = readFileSync(`${root}docs/systems.md`, 'utf8')

interface Named {
  readonly topics: readonly string[]
  readonly groups: readonly string[]
}

const hello = helloNames('')
const delivery = namesOf('')
const coupons = defineMessages('')
/** By folder, in the order of the page. */
const sources: Readonly<Record<string, Named>> = {
  'payment-gateway': {
    topics: [defineOperations('', 'key').approve.topic, 'payment_reply', 'payment_response'],
    groups: [workerGroup(''), 'payment-gateway-group'],
  },
  'delivery-radius': { topics: [delivery.topic, delivery.replyTopic], groups: [delivery.workerGroup] },
  prepaid: { topics: [hello.say.topic, hello.replyTopic], groups: [hello.group] },
  'coupon-mail': {
    topics: [coupons.sendMail.topic, ...Object.values(coupons.replyTopics)],
    groups: [coupons.workerGroup, coupons.couponGroup],
  },
  exchange: {
    topics: exchangeTopics(''),
    groups: ['exchange', 'krw-account', 'fx-account'].map((service) => groupOf('', service)),
  },
}
const sections = page.split(/^## S\d, /m).slice(1)

for (const [index, [folder, named]] of Object.entries(sources).entries()) {
  describe(`the picture of ${folder}`, () => {
    const section = sections[index]!
    const picture = /```mermaid\nflowchart LR\n([^]*?)```/.exec(section)![1]!

    test('is in the plain part of the syntax, which every renderer has', () => {
      const label = '"[^"<>]+"'
      const node = `\\w+(\\[${label}\\]|\\(\\[${label}\\]\\)|\\[\\(${label}\\)\\]|\\{\\{${label}\\}\\})?`
      const line = new RegExp(`^  ${node} (---|-->|-\\.->)(\\|${label}\\|)? ${node}$`)
      for (const text of picture.trimEnd().split('\n')) assert.match(text, line)
    })

    test('has the topics and groups that the sources have', () => {
      const topics = [...picture.matchAll(/\{\{"(.+?)"\}\}/g)].map(([, topic]) => topic)
      assert.deepEqual(topics.toSorted(byName), named.topics.toSorted(byName))
      const groups = [...picture.matchAll(/\bgroup ([\w.-]+)"/g)].map(([, name]) => name)
      assert.deepEqual(new Set(groups), new Set(named.groups))
    })

    test('has every process, and the table below it says where its code is', () => {
      const rows = [...section.matchAll(/^\| (.+) \| \[(.+)\]\(\.\.\/(systems\/.+)\) \|$/gm)]
      const entries = rows.map(([, , , file]) => file!)
      const all = globSync(`systems/${folder}/src/**/*.ts`, { cwd: root })
      const children = all.filter((file) => /^runChild\(/m.test(readFileSync(root + file, 'utf8')))
      assert.deepEqual(entries.toSorted(byName), children.toSorted(byName))
      const told = rows.flatMap(([, names]) => names!.split(', '))
      const drawn = [...picture.matchAll(/\w\["(.+?)[,:"]/g)].map(([, name]) => name!)
      assert.deepEqual(drawn.toSorted(byName), told.toSorted(byName))
    })
  })
}

test('the payment gateway’s routings have the names that the page says', () => {
  const { topics, groups } = sources['payment-gateway']!
  const choose = readFileSync(`${root}systems/payment-gateway/src/routing/choose.ts`, 'utf8')
  const named = [...choose.matchAll(/\$\{prefix\}([\w-]+)/g)].map(([, name]) => name!)
  for (const name of named) assert.ok(page.includes(name), `docs/systems.md does not tell of ${name}`)
  for (const name of ['payment_reply', 'payment_response', 'payment-gateway-group'])
    assert.ok(named.includes(name) && [...topics, ...groups].includes(name), name)
  for (const name of routingNames.filter((name) => name.endsWith('Topic') || name === 'replyPartition'))
    assert.ok(page.includes(chooseRouting(name, '', undefined).name), name)
})

test('a table that the page has from elsewhere is as it stands there', () => {
  const borrowed = [...page.matchAll(/from \[.+?\]\((.+?)\).*:\n\n(```\n[^]+?\n```|(?:\|.*\n)+)/g)]
  assert.ok(borrowed.length >= 2, 'docs/systems.md has lost its tables')
  for (const [, file, table] of borrowed) {
    const there = readFileSync(new URL(file!, `file://${root}docs/`), 'utf8').split('\n')
    for (const line of table!.trimEnd().split('\n')) assert.ok(there.includes(line), `${file} has no ${line}`)
  }
})

test('what a run printed has the rows that the sources print', () => {
  for (const [index, folder] of Object.keys(sources).entries()) {
    const printed = /^What a run .*:\n\n```\n([^]+?)\n```/m.exec(sections[index]!)?.[1]
    if (printed === undefined) continue
    const files = globSync(`systems/${folder}/src/**/*.ts`, { cwd: root })
    const text = files.map((file) => readFileSync(root + file, 'utf8')).join('\n')
    for (const row of printed.split('\n').filter((line) => / {2,}\S/.test(line))) {
      const [title] = row.trim().split(/ {2,}/)
      // States are listed in a type of their own, and indented by the table.
      assert.match(
        text,
        new RegExp(`['"\`] *${title!.replaceAll(/[()]/g, '.')}['"\`]`),
        `${folder} prints no ${title}`,
      )
    }
  }
})

function byName(a: string | undefined, b: string | undefined): number {
  return a! < b! ? -1 : 1
}
