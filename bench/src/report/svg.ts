/** Pictures in a few lines: a line chart and bars, readable on white and on black. */
import type { Chart } from '../results.ts'
import { threeFigures } from '../statistics.ts'

/** Of a line chart's field, and of what is around it. */
const field = { width: 520, height: 300 }
const left = 60
const top = 56
const bottom = 50
/** Of the longest bar. */
const barWidth = 440
/** Pictures on a page are scaled to its width: those that are narrower would have larger letters. */
const leastWidth = 900
/** What a letter takes at most, roughly: nobody measures text here. */
const letter = 6.6
const colours = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#ff7f0e', '#17becf', '#8c564b', '#7f7f7f']
/** Lines of one family have one colour. */
const dashes = ['', '6 3', '2 3', '10 3 2 3']

type Scale = ((value: number) => number) & { readonly ticks: readonly number[] }

export function lineChart({ title, x, y, logarithmic, lines }: Chart): string {
  const known = lines
    .map(({ name, points }) => ({ name, points: points.filter((point) => point.every(isShown)) }))
    .filter(({ points }) => points.length > 0)
  const all = known.flatMap(({ points }) => points)
  const across = scale(
    all.map(([at]) => at),
    left,
    left + field.width,
    logarithmic,
  )
  const up = scale(
    all.map(([, value]) => value),
    top + field.height,
    top,
    logarithmic,
  )
  const strokes = strokesOf(known.map(({ name }) => name))
  const drawn = known.map(({ name, points }, index) => {
    const { colour, dash } = strokes[index]!
    const spots = points.map(([at, value]) => ({ x: round(across(at)), y: round(up(value)) }))
    const path = spots.map((spot) => `${spot.x},${spot.y}`).join(' ')
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`,
      ...spots.map((spot) => `<circle cx="${spot.x}" cy="${spot.y}" r="3" fill="${colour}"/>`),
      legend(index, name, colour, dash),
    ].join('\n')
  })
  const content = [
    ...across.ticks.map((tick) => label(across(tick), top + field.height + 16, short(tick), 'middle')),
    ...up.ticks.map((tick) => gridLine(up(tick), short(tick))),
    label(left + field.width / 2, top + field.height + 38, x, 'middle'),
    label(left - 45, top - 14, y, 'start'),
    ...drawn,
  ]
  const names = textWidth(known.map(({ name }) => name))
  return picture(title, content, left + field.width + 60 + names, top + field.height + bottom)
}

/** One colour for all whose names begin with the same word; they differ in their dashes. */
function strokesOf(names: readonly string[]): { readonly colour: string; readonly dash: string }[] {
  const families = [...Map.groupBy(names, family).values()]
  return names.map((name) => {
    const index = families.findIndex((members) => members.includes(name))
    const place = families[index]!.indexOf(name)
    return { colour: colours[index % colours.length]!, dash: dashes[place % dashes.length]! }
  })
}

function family(name: string): string {
  return /^\w+/.exec(name)?.[0] ?? name
}

export interface Bars {
  readonly title: string
  readonly unit: string
  /** What each bar is stacked of. */
  readonly parts: readonly string[]
  readonly bars: readonly { readonly name: string; readonly values: readonly number[] }[]
}

export function barChart({ title, unit, parts, bars }: Bars): string {
  const rowHeight = 24
  const begin = textWidth(bars.map(({ name }) => name)) + 20
  const most = Math.max(...bars.map(({ values }) => total(values)), Number.MIN_VALUE)
  const rows = bars.flatMap(({ name, values }, row) => {
    const y = top + 20 + row * rowHeight
    let at = begin
    const boxes = values.map((value, part) => {
      const wide = isShown(value) ? (value / most) * barWidth : 0
      const box = `<rect x="${round(at)}" y="${y}" width="${round(wide)}" height="16" fill="${colours[part]}"/>`
      at += wide
      return box
    })
    return [
      label(begin - 8, y + 12, name, 'end'),
      ...boxes,
      label(at + 6, y + 12, `${short(total(values))} ${unit}`, 'start'),
    ]
  })
  const key = parts.map((part, index) => {
    const x = begin + index * 120
    const box = `<rect x="${x}" y="${top - 12}" width="12" height="12" fill="${colours[index]}"/>`
    return `${box}${label(x + 18, top - 2, part, 'start')}`
  })
  return picture(title, [...key, ...rows], begin + barWidth + 80, top + 40 + bars.length * rowHeight)
}

function picture(title: string, content: readonly string[], width: number, height: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(Math.max(width, leastWidth))} ${height}" font-family="sans-serif" font-size="12" fill="#777">
<text x="15" y="20" font-size="14" font-weight="bold">${escape(title)}</text>
${content.join('\n')}
</svg>
`
}

function scale(values: readonly number[], from: number, to: number, logarithmic: boolean): Scale {
  const least = Math.min(...values)
  const most = Math.max(...values)
  if (!logarithmic) {
    const ticks = Array.from({ length: 6 }, (_, n) => (most * n) / 5)
    return Object.assign((value: number) => from + (value / most) * (to - from), { ticks })
  }
  // From the last round number below all values to the first one above; a single value has one on each side.
  const all = roundNumbers(least / 10, most * 10)
  const low = all.findLast((tick) => tick <= least)!
  const high = all.find((tick) => tick >= most && tick > low)!
  const between = all.filter((tick) => tick >= low && tick <= high)
  const decades = between.filter((tick) => tick.toExponential().startsWith('1'))
  const place = (value: number): number => Math.log10(value / low) / Math.log10(high / low)
  const ticks = decades.length > 2 ? decades : between
  return Object.assign((value: number) => from + place(value) * (to - from), { ticks })
}

/** 1, 2 and 5 times each power of ten that the range touches. */
function roundNumbers(least: number, most: number): number[] {
  const first = Math.floor(Math.log10(least))
  const count = Math.ceil(Math.log10(most)) - first
  return Array.from({ length: count + 1 }, (_, n) =>
    [1, 2, 5].map((digit) => Number(`${digit}e${first + n}`)),
  ).flat()
}

function gridLine(y: number, text: string): string {
  return `<line x1="${left}" x2="${left + field.width}" y1="${round(y)}" y2="${round(y)}" stroke="#7777" stroke-width="0.5"/>${label(left - 6, y + 4, text, 'end')}`
}

function legend(index: number, name: string, colour: string, dash: string): string {
  const y = top + 8 + index * 18
  const x = left + field.width + 16
  const sample = `<line x1="${x}" x2="${x + 26}" y1="${y - 4}" y2="${y - 4}" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`
  return `${sample}${label(x + 32, y, name, 'start')}`
}

function textWidth(texts: readonly string[]): number {
  return letter * Math.max(0, ...texts.map((text) => text.length))
}

function label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escape(text)}</text>`
}

/** A logarithmic axis has no place for 0. */
function isShown(value: number): boolean {
  return Number.isFinite(value) && value > 0
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + (isShown(value) ? value : 0), 0)
}

function short(value: number): string {
  if (value >= 1_000_000) return `${threeFigures(value / 1_000_000)} M`
  return value >= 10_000 ? `${threeFigures(value / 1000)} k` : String(threeFigures(value))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
