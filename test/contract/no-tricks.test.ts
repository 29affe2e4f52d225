import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { projectRoot } from '../helpers/project-root.js'

/** What changes a library, Node or V8 while they run ([decision 23](../../docs/adr/0023-no-tricks.md)). */
const TRICKS: readonly (readonly [string, RegExp])[] = [
  ['sets a prototype', /\b(setPrototypeOf\(|__proto__ *[:=])/],
  ['sets flags of V8', /\bsetFlagsFromString\b/],
  ['writes to a prototype', /\b(?!this\.)[A-Za-z_$][\w$]*\.prototype(\.[\w$]+|\[[^\]]+\]) *=[^=]/],
  ['defines a property of a prototype', /\b(define(Property|Properties)|assign)\([^()]*\bprototype\b/i],
  [
    'replaces a method',
    /\bReflect\.set\(|\.[\w$]+ = (async )?(\([^()]*\)(: [^=]+)? =>|\([^()]*$|[\w$]+ =>|function\b)/,
  ],
]

/** Options that are documented as such. */
const OPTIONS = /^ *route\.errorHandler = /

function faultsOf(text: string): string[] {
  const lines = text.split('\n').filter((line) => !/^ *(\/\/|\*|\/\*)/.test(line) && !OPTIONS.test(line))
  return lines.flatMap((line) =>
    TRICKS.filter(([, pattern]) => pattern.test(line)).map(([what]) => `${what}: ${line.trim()}`),
  )
}

describe('The sources', () => {
  it('change no library, no part of Node and no setting of V8 while they run', () => {
    const folder = join(projectRoot(), 'src')
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
    const faults = files.flatMap((file) =>
      faultsOf(readFileSync(join(folder, file), 'utf8')).map((fault) => `${file} ${fault}`),
    )

    expect(files).to.have.length.above(400)
    expect(faults).to.deep.equal([])
  })

  for (const line of [
    'Object.setPrototypeOf(client, shared)',
    `setFlagsFromString('--expose-gc')`,
    `Reflect.set(stream, 'write', joined)`,
    'Redis.prototype.defineCommand = define',
    `Redis.prototype['defineCommand'] = define`,
    `Object.defineProperty(ReplyError.prototype, 'command', {})`,
    'Object.assign(Redis.prototype, { duplicate })',
    'client.disconnect = (reconnect = false) => {',
    'socket.destroySoon = () => {',
    'server.emit = function (event) {',
    'process.emitWarning = async (warning: string): Promise<void> => undefined',
  ]) {
    it(`would not pass with ${line}`, () => {
      expect(faultsOf(`  ${line}`)).to.have.lengthOf(1)
    })
  }

  for (const line of [
    `static { this.prototype.name = 'ServiceStoppedError' }`,
    '    signal.onlyOurs === (() => true)',
    '    // client.disconnect = () => {}',
    '    const end = () => life.abort(signal.reason)',
    '  readonly bytes = async (): Promise<void> => undefined',
  ]) {
    it(`pass with ${line.trim()}`, () => {
      expect(faultsOf(line)).to.deep.equal([])
    })
  }
})
