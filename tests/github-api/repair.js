// Repairs GitHub's description of its API where Prism cannot play it: the examples of some answers are
// `{"value": {"$ref": …}}`, where the reference leads to an example and not to its value. Schemas, parameters
// and everything else that requests are held against stay as GitHub wrote them.
const fs = require("node:fs");

const file = process.argv[2];
const description = JSON.parse(fs.readFileSync(file, "utf8"));
const operations = Object.values(description.paths).flatMap(Object.values);
const answers = operations.flatMap((operation) => Object.values(operation.responses ?? {}));
for (const { examples } of answers.flatMap((answer) => Object.values(answer.content ?? {}))) {
  for (const [name, example] of Object.entries(examples ?? {})) {
    if (example.value?.$ref) examples[name] = example.value;
  }
}
fs.writeFileSync(file, JSON.stringify(description));
