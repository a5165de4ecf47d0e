import type { RoutingName } from '../routing/choose.ts'
import type { Row } from './measure.ts'

const names: Record<RoutingName, string> = {
  sameGroup: 'same group, one topic *',
  instanceReplyTopic: 'instanceReplyTopic',
  sharedReplyTopic: 'sharedReplyTopic',
  redisRelay: 'redisRelay',
  redisPolling: 'redisRelay, polling',
  replyPartition: 'replyPartition',
}

interface Column {
  readonly title: readonly [upper: string, lower: string]
  readonly cell: (row: Row) => string
}

const columns: readonly Column[] = [
  { title: ['', 'reply routing'], cell: (row) => names[row.routing] },
  { title: ['', 'requests'], cell: (row) => String(row.requests) },
  { title: ['', 'answered'], cell: (row) => String(row.answered) },
  { title: ['lost to the', 'wrong gateway'], cell: (row) => String(row.lostToWrongGateway) },
  { title: ['timed', 'out'], cell: (row) => String(row.timedOut) },
  { title: ['records read', 'per own reply'], cell: (row) => row.recordsPerReply.toFixed(2) },
  { title: ['bytes read', 'per own byte'], cell: (row) => row.bytesPerReply.toFixed(2) },
  { title: ['outside the', 'provider p50'], cell: (row) => `${row.p50.toFixed(1)} ms` },
  { title: ['', 'p99'], cell: (row) => `${row.p99.toFixed(1)} ms` },
  { title: ['reply', 'topics'], cell: (row) => String(row.topics) },
  { title: ['', 'partitions'], cell: (row) => String(row.partitions) },
]

export function formatTable(title: string, rows: readonly Row[]): string {
  const lines = [
    columns.map((column) => column.title[0]),
    columns.map((column) => column.title[1]),
    ...rows.map((row) => columns.map((column) => column.cell(row))),
  ]
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]!.length)))
  const text = lines.map((line) =>
    line
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!)))
      .join('  ')
      .trimEnd(),
  )
  const rule = '─'.repeat(widths.reduce((total, width) => total + width + 2, -2))
  return [title, ...text.slice(0, 2), rule, ...text.slice(2), ...rows.flatMap(notes)].join('\n')
}

function notes(row: Row): string[] {
  const found: string[] = []
  if (row.late > 0) found.push(`  ${names[row.routing]}: ${row.late} replies came late, to the right gateway`)
  if (row.other > 0) found.push(`  ${names[row.routing]}: ${row.other} requests were refused or broke off`)
  return found
}
