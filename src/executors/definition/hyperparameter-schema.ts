import { z } from 'zod'
import { convertHyperparameter } from './hyperparameter-values.js'

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/
/** Conditions of commands have these names already. */
const RESERVED = ['resolution', 'model_variant', 'gpus']

const declarationSchema = z
  .strictObject({
    type: z
      .enum(['int', 'number', 'bool', 'text', 'categories'], {
        error: 'must be int, number, bool, text or categories',
      })
      .describe('What the value must be; the Loop may send it as text.'),
    default: z
      .union([z.number(), z.boolean(), z.string()], { error: 'must be a number, true/false or a text' })
      .optional(),
    min: z.number().optional(),
    max: z.number().optional(),
    choices: z.array(z.string().min(1)).min(1).optional().describe('The only texts that are taken.'),
    values: z
      .enum(['number', 'category'], { error: 'must be number or category' })
      .default('number')
      .describe('What stands behind the colon of "category id:value".'),
  })
  .superRefine((declaration, context) => {
    if (declaration.default === undefined) return
    const converted = convertHyperparameter(declaration, declaration.default, [])
    if (!converted.ok) context.addIssue({ code: 'custom', path: ['default'], message: converted.problem })
  })

/** The hyperparameters an order may put into commands, by name: each has a type, so that none is free text. */
export const hyperparametersSchema = z.record(
  z
    .string()
    .regex(NAME, { error: 'must start with a letter and hold only letters, digits and _' })
    .refine((name) => !RESERVED.includes(name), {
      error: `must not be one of ${RESERVED.join(', ')}, which need no declaration`,
    }),
  declarationSchema,
)
