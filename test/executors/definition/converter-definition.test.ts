import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  loadConverterDefinition,
  parseConverterDefinition,
} from '../../../src/executors/definition/converter-definition.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

const whole = `
name: mine
source_format: a
convert: [{format: b, command: [python, convert.py, '{model}', '{output}']}]
upload: {b: [model.b]}
`

describe('a converter file', () => {
  const folder = useTemporaryFolder()

  it('is refused when a script that lies beside it is looked for in the workspace', async () => {
    await writeFile(join(folder.path, 'convert.sh'), '')
    const file = join(folder.path, 'c.yaml')
    await writeFile(file, whole.replace('[python, convert.py,', '[bash, convert.sh,'))

    const error = await rejection(loadConverterDefinition(file))

    expect(error).to.include({ code: 'LF_BAD_CONVERTER_FILE' })
    expect(error.message)
      .to.include('c.yaml: "convert[0].command" names "convert.sh"')
      .and.to.include('"{converter}/convert.sh"')
  })

  it('needs no more than name, formats, command and files', () => {
    const converter = parseConverterDefinition(whole, 'c.yaml')

    expect(converter).to.include({ python: 'python3', timeout_seconds: 3600, gpus: 0 })
  })

  const wrong: readonly (readonly [what: string, text: string, said: RegExp])[] = [
    ['nothing', '', /c\.yaml/],
    ['an unknown key', `${whole}formt: x`, /unknown key "formt"/],
    ['a format that is not uploaded', whole.replace('{b: [', '{c: ['), /"upload" does not list it/],
    [
      'its own source as a target',
      whole.replaceAll('b:', 'a:').replace('format: b', 'format: a'),
      /also "source_format"/,
    ],
    ['a format twice', whole.replace('convert: [', 'convert: [{format: b, command: [x]}, '), /makes already/],
    ['two files of one name', whole.replace('[model.b]', '[x/model.b, model.b]'), /two files named "model\.b"/],
    ['a file outside', whole.replace('[model.b]', '[../model.b]'), /inside the workspace/],
    ['a model.json', whole.replace('[model.b]', '[x/model.json]'), /must not be a model\.json/],
    ['a value of an order', whole.replace("'{model}'", "'{hyperparameters.x}'"), /unknown placeholder/],
    ['a folder it has not', whole.replace("'{model}'", "'{dataset}'"), /\{dataset\}/],
    ['an unknown condition', whole.replace("'{model}'", '{if: epochs, then: [x]}'), /unknown condition "epochs"/],
    ['a shell line', whole.replace(/command: \[.*?\]\}/, 'command: "rm -rf /"}'), /must be a list/],
    ['no time', `${whole}timeout_seconds: 0`, /timeout_seconds/],
  ]
  for (const [what, text, said] of wrong) {
    it(`is refused in a sentence for ${what}`, () => {
      expect(() => parseConverterDefinition(text, 'c.yaml'))
        .to.throw(said)
        .with.property('code', 'LF_BAD_CONVERTER_FILE')
    })
  }
})
