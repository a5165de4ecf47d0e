// Runs before every command of the project (prestart, pretest, …): installs what package-lock.json says when that
// is not installed yet. This file is what tells a person with too old a Node or npm what to do, so it keeps to
// what Node 12 understands: no top-level await, no `node:` imports, no `?.` and no `??`.
import { spawnSync } from 'child_process'
import { createHash } from 'crypto'
import { existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'fs'
import { tmpdir } from 'os'
import { dirname, join } from 'path'
import { fileURLToPath } from 'url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const oldestNode = [22, 22]
const carriedFor = ['linux-x64', 'linux-arm64', 'win32-x64'] // optionalDependencies of package.json
const longestWait = 10 * 60 * 1000
const oldestNpm = 8 // the first that reads this lock file and knows workspaces well

main()

function main() {
  const carried = carriedFor.indexOf(process.platform + '-' + process.arch) >= 0
  if (!carried && !isNewEnough(process.versions.node)) {
    fail('Node ' + process.versions.node + ' is too old: ' + newerNode())
  }
  if (!isInstalled()) {
    takeTurn()
    // Somebody else may have installed while this one waited.
    if (!isInstalled()) install()
  }
  checkNode()
}

/**
 * Whether node_modules holds what package-lock.json says. npm writes node_modules/.package-lock.json last, so an
 * interrupted install has none. The content is compared and not the times: after `git clone` every file is new.
 */
function isInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'))
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'))
  if (!wanted || !present) return false
  return (
    Object.keys(present).every((path) => path in wanted) &&
    Object.keys(wanted).every((path) => {
      if (path === '') return true
      const there = present[path]
      if (!there) return wanted[path].optional === true // for another kind of machine
      const same = ['version', 'integrity', 'link'].every((field) => wanted[path][field] === there[field])
      return same && existsSync(join(root, path))
    })
  )
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    return fail(file + ' cannot be read (' + error.message + '): restore it with git, or remove node_modules')
  }
}

function install() {
  const agent = process.env.npm_config_user_agent || ''
  const ownNpm = /^npm\/(\d+)/.exec(agent)
  if (ownNpm && Number(ownNpm[1]) < oldestNpm) {
    fail('npm ' + ownNpm[1] + ' is too old: ' + newerNode())
  }
  process.stderr.write('installing what package-lock.json lists (npm ci, once) …\n')
  const begun = Date.now()
  const npm = ownNpm && process.env.npm_execpath
  const result = npm
    ? spawnSync(process.execPath, [npm, 'ci'], { cwd: root, encoding: 'utf8' })
    : spawnSync('npm', ['ci'], { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' })
  if (result.error) {
    fail('npm could not be run (' + result.error.message + '): ' + newerNode())
  }
  if (result.status !== 0) {
    const lines = (result.stderr || result.stdout).split('\n')
    const reasons = lines.filter(
      (line) => /^npm (error|ERR!)/.test(line) && !/complete log|A complete/.test(line),
    )
    const reason = reasons.map((line) => line.replace(/^npm (error|ERR!)\s*/, '')).filter(Boolean)
    const short = reason.slice(0, 3).join('; ') || 'npm gave no reason'
    fail('npm ci failed (' + short + '): put that right, or run `npm ci` yourself to see all of it')
  }
  process.stderr.write('installed in ' + Math.round((Date.now() - begun) / 1000) + ' s\n')
}

/**
 * One install at a time: `npm ci` begins by removing node_modules. The file that says whose turn it is holds that
 * process's id, so that the next one can tell a turn that was never given back. It is given back on exit.
 */
function takeTurn() {
  const name = 'milena-install-' + createHash('sha256').update(root).digest('hex').slice(0, 16)
  const file = join(tmpdir(), name)
  const begun = Date.now()
  let told = false
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      process.on('exit', () => unlinkSync(file))
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const owner = readOwner(file)
    if (owner !== 0 && !isAlive(owner)) {
      dropTurn(file)
      continue
    }
    if (!told) process.stderr.write('waiting for the install that another command has begun …\n')
    told = true
    if (Date.now() - begun > longestWait) {
      fail('another command (process ' + owner + ') has not finished its install: end it, or remove ' + file)
    }
    pause(200)
  }
}

/** Removes a turn whose owner is dead; renamed first, so that of several who see this only one removes it. */
function dropTurn(file) {
  const aside = file + '-' + process.pid
  try {
    renameSync(file, aside)
    unlinkSync(aside)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
}

/** The owner's process id; 0 while the file is just being written or just gone. */
function readOwner(file) {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return 0
    throw error
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function pause(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/**
 * The project carries its own Node where there is one to carry (Linux x64 and arm64, Windows x64); elsewhere,
 * macOS among them, the Node on the PATH runs everything and has to be new enough.
 */
function checkNode() {
  const bin = join(root, 'node_modules', '.bin')
  const carried = ['node', 'node.cmd'].map((name) => join(bin, name)).find((file) => existsSync(file))
  if (!carried) {
    if (!isNewEnough(process.versions.node))
      fail('Node ' + process.versions.node + ' is too old: ' + newerNode())
    return
  }
  // npm puts the carried one first on the PATH; when it is what runs this, it works.
  if (isNewEnough(process.versions.node)) return
  const answer = spawnSync(carried, ['--version'], { encoding: 'utf8', shell: process.platform === 'win32' })
  if (answer.status !== 0) {
    fail('the Node that the project carries does not run on this machine (' + carried + '): ' + newerNode())
  }
}

function isNewEnough(text) {
  const version = text.split('.').map(Number)
  return version[0] > oldestNode[0] || (version[0] === oldestNode[0] && version[1] >= oldestNode[1])
}

function newerNode() {
  return 'install Node ' + oldestNode.join('.') + ' or newer (it brings its npm) and run this again'
}

function fail(message) {
  process.stderr.write('milena: ' + message + '\n')
  process.exit(1)
}
