import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { readJsonFile } from '../../../base/index.js'
import { CONVERSION_FILE, conversionFileSchema, visibleGpus } from '../../contract/index.js'
import { importPlugin } from '../import-plugin.js'
import { runStarted } from '../trainer-plugin/run-started.js'
import { writeConvertedList } from './converted-list.js'
import type { Conversion, ConverterLogic } from './converter-logic.js'

// The child process in which the hooks of a converter plug-in run: FILE MODEL OUTPUT, in the workspace.
const [file = '', modelFolder = '', outputFolder = ''] = process.argv.slice(2)

const HOOK_FAILED = 70

const asked = new AbortController()
process.on('SIGTERM', () => asked.abort())

async function main(): Promise<number> {
  // Its schema was checked when the converter was loaded; a file that was changed since fails where it is used.
  const logic = (await importPlugin(file, 'converter')) as unknown as ConverterLogic
  const conversion = await openConversion(process.cwd())
  const ended = await runStarted('convert', await logic.convert(conversion), { folder: conversion.folder })
  if (ended.signal !== null) console.error(`the program was ended by ${ended.signal}`)
  if (ended.exitCode !== 0) return ended.exitCode ?? HOOK_FAILED
  await writeConvertedList(
    conversion.folder,
    (await logic.convertedFiles?.(conversion)) ?? (await filesIn(outputFolder)),
  )
  return 0
}

async function openConversion(folder: string): Promise<Conversion> {
  const told = await readJsonFile(join(folder, CONVERSION_FILE), conversionFileSchema)
  if (told === undefined) throw new Error(`There is no ${CONVERSION_FILE} in ${folder}.`)
  const { model_json: modelJson, ...model } = told.model
  return {
    sourceFormat: told.source_format,
    targetFormat: told.target_format,
    model: { ...model, modelJson },
    modelFolder,
    outputFolder,
    folder,
    gpus: visibleGpus(process.env.CUDA_VISIBLE_DEVICES),
    signal: asked.signal,
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  if (files.length === 0) throw new Error('The hook "convert" has ended, but there is no file in the output folder.')
  return files
}

/** Whatever the plug-in has left open ends with us. */
process.exit(
  await main().catch((error: unknown) => {
    console.error(error)
    return HOOK_FAILED
  }),
)
