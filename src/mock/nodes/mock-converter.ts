import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineConverter } from '../../executors/plugin/converter-plugin/index.js'

const SECONDS = 1
const CONVERTED = Buffer.from([0x42])

/** The converter that converts nothing, as the Python library's tests have it: one file, after a second. */
export const converter = defineConverter({
  name: 'mock_converter',
  sourceFormat: 'mocked',
  targetFormats: ['mocked_converted'],

  async convert({ outputFolder, signal }) {
    await sleep(1000 * SECONDS, undefined, { signal })
    await writeFile(join(outputFolder, 'converted_weightfile.converted'), CONVERTED)
  },
  convertedFiles: () => ['converted_weightfile.converted'],
})
