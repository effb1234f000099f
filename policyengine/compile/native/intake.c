/* A request taken apart, checked, and passed to the generated function that decides: `entry.py` in C. */

#include "native.h"

/* So many values can be read of one request. */
#define LIMIT 64
/* So many agents can act for one another: `evaluate/delegation.py` says so. */
#define MAX_CHAIN 16
/* So many joined decisions are at hand. */
#define LATEST 16

enum {
    PRINCIPAL, RESOURCE, CONTEXT, PRINCIPAL_ID, RESOURCE_ID, KNOWN_PRINCIPAL, KNOWN_RESOURCE, ATTRIBUTES, APPROVED, PARTS
};

/* ---- values ---- */

static PyObject *
unusual(void)
{
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_LookupError, "left to the interpreter");
    }
    return NULL;
}

/* Whether all items are plain texts. */
static int
texts(PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        if (!PyUnicode_CheckExact(PyList_GET_ITEM(list, i))) {
            return 0;
        }
    }
    return 1;
}

PyObject *
plain_texts(PyObject *Py_UNUSED(module), PyObject *value)
{
    return PyBool_FromLong(PyList_CheckExact(value) && texts(value));
}

PyObject *
plain_pairs(PyObject *Py_UNUSED(module), PyObject *value)
{
    if (!PyList_CheckExact(value)) {
        Py_RETURN_FALSE;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); i++) {
        PyObject *item = PyList_GET_ITEM(value, i);
        if (!PyDict_CheckExact(item) || PyDict_GET_SIZE(item) != 2) {
            Py_RETURN_FALSE;
        }
    }
    Py_RETURN_TRUE;
}

/* Whether all keys of a dict are plain texts in a set: 1, 0 or -1 with an exception. No key's comparison is Python code. */
static int
has_only(PyObject *dict, PyObject *names)
{
    PyObject *key, *value;
    for (Py_ssize_t i = 0; PyDict_Next(dict, &i, &key, &value);) {
        int is_known = PyUnicode_CheckExact(key) ? PySet_Contains(names, key) : 0;
        if (is_known != 1) {
            return is_known;
        }
    }
    return 1;
}

PyObject *
plain_document(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (count != 3 || !PyUnicode_CheckExact(given[1]) || (given[2] != Py_None && !PyFrozenSet_CheckExact(given[2]))) {
        PyErr_SetString(PyExc_TypeError, "what is given is a value, a type, and a frozenset of names or None");
        return NULL;
    }
    PyObject *document = given[0], *names = given[2];
    State *state = PyModule_GetState(module);
    if (!PyDict_CheckExact(document)) {
        Py_RETURN_FALSE;
    }
    int is_plain = names == Py_None ? 1 : has_only(document, names);
    if (is_plain == 1) {
        PyObject *type = get(document, state->type);
        is_plain = type == NULL                       ? !PyErr_Occurred()
                   : !PyUnicode_CheckExact(type)      ? 0
                   : type == given[1]                 ? 1
                                                      : PyUnicode_Compare(type, given[1]) == 0;
        Py_XDECREF(type);
    }
    if (is_plain == 1) {
        PyObject *id = get(document, state->id);
        is_plain = id != NULL && PyUnicode_CheckExact(id);
        Py_XDECREF(id);
    }
    return PyErr_Occurred() ? NULL : PyBool_FromLong(is_plain);
}

/* The keys of a dict that were all found to be in a set, in order. Requests of one origin have the same keys, as the same
   objects, time after time: comparing pointers is faster than looking each key up. What is wanted of such a dict is known
   by its place. */
#define FORMS 4
#define KEYS 16

typedef struct {
    Py_ssize_t size;
    PyObject *key[KEYS];
    int is_placed;           /* Whether the places are known. */
    signed char place[SLOTS]; /* Of what is wanted, or -1 for what is not there. */
} Form;

/* What is wanted of a principal or a resource, from the first slot on: its type, its id, and names as they come. */
typedef struct {
    int count;
    PyObject *name[SLOTS];
} Wanted;

static void
forget_form(Form *form)
{
    for (Py_ssize_t i = 0; i < form->size; i++) {
        Py_CLEAR(form->key[i]);
    }
    form->size = 0;
    form->is_placed = 0;
}

/* Where what is wanted stands. That is looked for once there was a second dict of the same keys. */
static void
place(Form *form, const Wanted *wanted)
{
    for (int slot = 0; slot < wanted->count; slot++) {
        Py_ssize_t at = form->size;
        while (--at >= 0 && PyUnicode_Compare(form->key[at], wanted->name[slot]) != 0) {
        }
        form->place[slot] = (signed char)at;
    }
    form->is_placed = 1;
}

/* Takes what is wanted of a dict at once, if it has the keys of the last one of its size. Nothing else runs meanwhile. */
static void
take(PyObject *dict, Form *forms, const Wanted *wanted, Taken *taken)
{
    PyObject *key, *value[KEYS];
    Py_ssize_t size = PyDict_GET_SIZE(dict), at = 0, i = 0;
    Form *form = &forms[size % FORMS];
    taken->count = 0;
    if (form->size != size || size == 0) {
        return;
    }
    while (at < size && PyDict_Next(dict, &i, &key, &value[at]) && key == form->key[at]) {
        at++;
    }
    if (at != size) {
        return;
    }
    if (!form->is_placed) {
        place(form, wanted);
    }
    for (int slot = 0; slot < wanted->count; slot++) {
        taken->value[slot] = form->place[slot] < 0 ? NULL : Py_NewRef(value[form->place[slot]]);
    }
    taken->count = wanted->count;
}

static void
release_taken(Taken *taken)
{
    while (taken->count > 0) {
        Py_XDECREF(taken->value[--taken->count]);
    }
}

/* Adds a name to what is wanted, if there is room. Its slot, or -1. */
static int
want(Wanted *wanted, PyObject *name)
{
    for (int slot = 0; slot < wanted->count; slot++) {
        if (PyUnicode_Compare(wanted->name[slot], name) == 0) {
            return slot;
        }
    }
    if (wanted->count == SLOTS) {
        return -1;
    }
    wanted->name[wanted->count] = Py_NewRef(name);
    return wanted->count++;
}

/* Whether all keys of a dict are in a set that only grows: 1, 0, or -1 with an exception. */
static int
all_in(PyObject *dict, PyObject *names, Form *forms)
{
    PyObject *key, *value;
    Py_ssize_t size = PyDict_GET_SIZE(dict), at = 0, i = 0;
    Form *form = &forms[size % FORMS];
    if (form->size == size) {
        while (at < size && PyDict_Next(dict, &i, &key, &value) && key == form->key[at]) {
            at++;
        }
        if (at == size) {
            return 1;
        }
    }
    for (i = 0; PyDict_Next(dict, &i, &key, &value);) {
        if (!PyUnicode_CheckExact(key)) {
            return 0;
        }
        int found = PySet_Contains(names, key);
        if (found != 1) {
            return found;
        }
    }
    if (size > 0 && size <= KEYS) {
        forget_form(form);
        for (i = 0; form->size < size && PyDict_Next(dict, &i, &key, &value);) {
            form->key[form->size++] = Py_NewRef(key);
        }
    }
    return 1;
}

/* Whether a value plainly has a type of KINDS in `intake.py`: 1, 0, or -1 with an exception. */
static int
fits(PyObject *value, int kind)
{
    switch (kind) {
    case 's':
        return PyUnicode_CheckExact(value);
    case 'b':
        return PyBool_Check(value);
    case 'n':
        if (PyFloat_CheckExact(value)) {
            return Py_IS_FINITE(PyFloat_AS_DOUBLE(value)) != 0;
        }
        /* fall through */
    case 'i':
        if (PyLong_CheckExact(value)) {
            int overflow;
            long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
            return number == -1 && PyErr_Occurred() ? -1 : !overflow;
        }
        return 0;
    case 'l':
        return PyList_CheckExact(value) && texts(value);
    }
    return 0;
}

/* ---- Intake ---- */

typedef struct {
    int root;
    int kind;
    int slot;            /* Of what is taken of its root at once; -1 for none. */
    PyObject *name;      /* Of an attribute; of kind 'a', what is wanted above the root. */
    PyObject *otherwise; /* Gives a value that does not plainly fit, or raises; NULL for none that does. The function
                            of kind 'a'. */
} Read;

typedef struct {
    PyObject *function; /* NULL if there is no such path. */
    int looks_up;
    int known[2];       /* Whether it looks at what the world knows of a root. */
    Py_ssize_t parts;
    unsigned char part[PARTS];
    Py_ssize_t reads;
    Read *read;
} Path;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Path named;
    Path any;
    PyObject *records[2]; /* NULL for a type of which the world has none. */
    PyObject *rows[2];    /* NULL for a root of which the named path asks nothing. */
    PyObject *find[2];
    PyObject *nothing;
    /* For other actors: the entries by type of principal; the types of agents, or None; the types of those that the
       principal may have got its task from, or None; and decisions for several with the function that makes them. */
    PyObject *entries, *types, *own, *joined, *join;
    int delegator; /* The slot of what says whom a principal got its task from; -1 for none. */
    /* Of `entries`, what was asked for last, by its type and the types that this had to be one of. */
    PyObject *last_type, *last_types, *last_entry;
    /* Of `joined`, what was asked for last: comparing pointers is faster than looking them up. */
    PyObject *latest[LATEST];
    PyObject *circumstances; /* The names that need no look, in a context and in the entities. */
    PyObject *members[2];
    Form seen[CONTEXT + 1][FORMS];
    Wanted wanted[2];
    Look look;
    /* Whether the arguments of a tool may be as they are; NULL where nobody asks. */
    PyObject *check;
    /* Knows what becomes of some requests that are not in order; NULL for nobody. */
    PyObject *fallback;
    PyObject *id, *type, *agent, *delegated_by;
} Intake;

/* The arguments for a function, with references of their own. The first place is for the callee's use. */
typedef struct {
    Py_ssize_t count;
    PyObject *value[1 + PARTS + LIMIT];
} Arguments;

static inline void
push(Arguments *to, PyObject *value)
{
    to->value[++to->count] = value;
}

static PyObject *
pass_on(PyObject *function, Arguments *arguments)
{
    size_t flags = (size_t)arguments->count | PY_VECTORCALL_ARGUMENTS_OFFSET;
    return PyObject_Vectorcall(function, arguments->value + 1, flags, NULL);
}

/* Reads one attribute, or what is above a root. What the world knows of an entity comes before what the request says
   of it. */
static inline int
read_one(const Read *read, PyObject *const *part, const Taken *const *taken, PyObject *nothing, Arguments *to)
{
    PyObject *record = part[KNOWN_PRINCIPAL + read->root];
    if (read->kind == 'a') {
        PyObject *given[] = {NULL, read->name, part[read->root], record == NULL ? nothing : record};
        PyObject *above = PyObject_Vectorcall(read->otherwise, given + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        if (above == NULL) {
            return -1;
        }
        push(to, above);
        return 0;
    }
    PyObject *value = record == NULL ? NULL : get(record, read->name);
    if (value == NULL && (record == NULL || !PyErr_Occurred())) {
        const Taken *those = taken[read->root];
        /* Where nothing was taken, there are no slots. */
        value = (unsigned)read->slot < (unsigned)those->count ? Py_XNewRef(those->value[read->slot])
                                                              : get(part[read->root], read->name);
    }
    if (value == NULL) {
        return -1;
    }
    /* Most are texts. */
    int fit = read->kind == 's' ? PyUnicode_CheckExact(value) : fits(value, read->kind);
    if (fit == 0 && read->otherwise != NULL) {
        PyObject *other = PyObject_CallOneArg(read->otherwise, value);
        Py_SETREF(value, other);
        fit = value == NULL ? -1 : 1;
    }
    if (fit != 1) {
        Py_XDECREF(value);
        return -1;
    }
    push(to, value);
    return 0;
}

/* Looks up what the world knows of an entity. */
static int
look_up(Intake *self, int root, PyObject **part)
{
    PyObject *record = self->records[root] == NULL ? NULL : get(self->records[root], part[PRINCIPAL_ID + root]);
    if (record == NULL) {
        if (PyErr_Occurred()) {
            return -1;
        }
        record = Py_NewRef(self->nothing);
    }
    part[KNOWN_PRINCIPAL + root] = record;
    return 0;
}

static inline int
start(Intake *self, const Path *path, PyObject **part, const Taken *const *taken, Arguments *to)
{
    for (int root = PRINCIPAL; path->looks_up && root <= RESOURCE; root++) {
        if (path->known[root] && part[KNOWN_PRINCIPAL + root] == NULL && look_up(self, root, part) < 0) {
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < path->parts; i++) {
        push(to, Py_NewRef(part[path->part[i]]));
    }
    for (Py_ssize_t i = 0; i < path->reads; i++) {
        if (read_one(&path->read[i], part, taken, self->nothing, to) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Adds the rows of the entities that are only named: 1, 0 if there are none, or -1 with an exception. */
static int
add_rows(Intake *self, PyObject *const *part, Arguments *to)
{
    for (int root = PRINCIPAL; root <= RESOURCE; root++) {
        if (self->rows[root] == NULL) {
            continue;
        }
        PyObject *row = get(self->rows[root], part[PRINCIPAL_ID + root]);
        if (row == NULL && !PyErr_Occurred()) {
            row = PyObject_CallOneArg(self->find[root], part[PRINCIPAL_ID + root]);
        }
        if (row == NULL) {
            return -1;
        }
        if (!PyTuple_CheckExact(row) || to->count + PyTuple_GET_SIZE(row) > PARTS + LIMIT) {
            Py_DECREF(row);
            return 0;
        }
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(row); i++) {
            push(to, Py_NewRef(PyTuple_GET_ITEM(row, i)));
        }
        Py_DECREF(row);
    }
    return 1;
}

static void
release(Arguments *arguments)
{
    while (arguments->count > 0) {
        Py_DECREF(arguments->value[arguments->count--]);
    }
}

/* Whether the entities are no more than type and id, as far as rows are made of them. */
static int
only_named(Intake *self, PyObject *const *part)
{
    if (self->named.function == NULL) {
        return 0;
    }
    for (int root = PRINCIPAL; root <= RESOURCE; root++) {
        if (self->rows[root] != NULL && PyDict_GET_SIZE(part[root]) != 2) {
            return 0;
        }
    }
    return 1;
}

/* The decision about a request whose parts are in order. */
static PyObject *
decide(Intake *self, PyObject **part, const Taken *const *taken)
{
    PyObject *decision = NULL;
    Arguments arguments;
    arguments.count = 0;
    if (only_named(self, part)) {
        int found = start(self, &self->named, part, taken, &arguments);
        if (found == 0) {
            found = add_rows(self, part, &arguments);
        }
        if (found != 0) {
            decision = found < 0 ? unusual() : pass_on(self->named.function, &arguments);
            release(&arguments);
            return decision;
        }
        release(&arguments);
    }
    decision = start(self, &self->any, part, taken, &arguments) < 0 ? unusual() : pass_on(self->any.function, &arguments);
    release(&arguments);
    return decision;
}

/* Whether the principal or the resource of a request is plain, with no name in it that needs a look. Its id is taken as a
   new reference. */
static int
is_plain(Intake *self, int root, PyObject *entity, const Taken *taken, PyObject **id)
{
    PyObject *kind;
    if (taken->count > 0) {
        kind = taken->value[TYPE];
        *id = Py_XNewRef(taken->value[ID]);
        return *id != NULL && kind != NULL && PyUnicode_CheckExact(kind) && PyUnicode_CheckExact(*id);
    }
    get_identity(entity, self->type, self->id, &kind, id);
    int plain = *id != NULL && PyUnicode_CheckExact(kind) && PyUnicode_CheckExact(*id);
    Py_XDECREF(kind);
    return plain && (PyDict_GET_SIZE(entity) <= 2 || all_in(entity, self->members[root], self->seen[root]) == 1);
}

/* The decision about one who must be allowed. Of the given parts all are there but those that are found out here. With
   `checked` the resource was asked about already, beside another one of whom as much is known of it. */
static PyObject *
alone(Intake *self, PyObject *principal, PyObject *const *given, PyObject *checked, const Taken *const *taken)
{
    PyObject *part[PARTS] = {principal, given[RESOURCE], given[CONTEXT]}, *decision = NULL;
    part[ATTRIBUTES] = given[ATTRIBUTES];
    part[APPROVED] = given[APPROVED];
    part[RESOURCE_ID] = Py_XNewRef(checked);
    if (!is_plain(self, PRINCIPAL, principal, taken[PRINCIPAL], &part[PRINCIPAL_ID]) ||
        (checked == NULL && !is_plain(self, RESOURCE, given[RESOURCE], taken[RESOURCE], &part[RESOURCE_ID]))) {
        unusual();
        goto done;
    }
    decision = decide(self, part, taken);
    if (decision == NULL && self->fallback != NULL && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_Exception))) {
        PyErr_Clear();
        PyObject *asked[] = {NULL, principal, given[RESOURCE], given[CONTEXT], given[ATTRIBUTES], given[APPROVED]};
        decision = PyObject_Vectorcall(self->fallback, asked + 1, 5 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
done:
    for (int i = PRINCIPAL_ID; i <= KNOWN_RESOURCE; i++) {
        Py_XDECREF(part[i]);
    }
    return decision;
}

/* ---- agents: `actors.py` in C ---- */

/* First the principal, then those that delegated to it, then the agents. */
#define MAX_ACTORS (1 + 2 * MAX_CHAIN)

typedef struct {
    PyObject *entity, *type, *id, *decision;
    Intake *entry;      /* The entry for a principal of its type. */
    const Taken *taken; /* Of the entity. */
    Taken space;
} Actor;

typedef struct {
    int count;
    int agents;   /* Where the agents begin. */
    int is_known; /* Whether the world says of anybody whom it got its task from. */
    Actor actor[MAX_ACTORS];
} Chain;

/* The entry for an actor of a type that has to be one of `types`: a new reference, NULL if there is none, or with an
   exception. What was found last is not looked up again. */
static Intake *
entry_of(Intake *self, PyObject *type, PyObject *types)
{
    if (self->last_type == type && self->last_types == types) {
        return (Intake *)Py_NewRef(self->last_entry);
    }
    PyObject *entry = types == Py_None || PySet_Contains(types, type) == 1 ? get(self->entries, type) : NULL;
    if (entry != NULL && !Py_IS_TYPE(entry, Py_TYPE(self))) {
        Py_CLEAR(entry);
    }
    if (entry != NULL) {
        Py_XSETREF(self->last_type, Py_NewRef(type));
        Py_XSETREF(self->last_types, Py_NewRef(types));
        Py_XSETREF(self->last_entry, Py_NewRef(entry));
    }
    return (Intake *)entry;
}

/* Adds an actor, of which it takes the reference: 0, or -1 if it is anything but plain. The principal comes first; what is
   taken of it is there. */
static int
add_actor(Intake *self, PyObject *entity, PyObject *types, const Taken *taken, Chain *chain)
{
    int is_principal = chain->count == 0;
    Actor *actor = &chain->actor[chain->count++];
    actor->entity = entity;
    actor->type = actor->id = actor->decision = NULL;
    actor->entry = NULL;
    actor->space.count = 0;
    actor->taken = taken == NULL ? &actor->space : taken;
    if (!PyDict_CheckExact(entity)) {
        return -1;
    }
    get_identity(entity, self->type, self->id, &actor->type, &actor->id);
    if (actor->id == NULL || !PyUnicode_CheckExact(actor->type) || !PyUnicode_CheckExact(actor->id)) {
        return -1;
    }
    actor->entry = is_principal ? (Intake *)Py_NewRef(self) : entry_of(self, actor->type, types);
    if (actor->entry == NULL) {
        return -1;
    }
    if (!is_principal) {
        take(entity, actor->entry->seen[PRINCIPAL], &actor->entry->wanted[PRINCIPAL], &actor->space);
    }
    return 0;
}

/* Whom the last actor got its task from: a new reference, NULL if from nobody, or with an exception. */
static PyObject *
next_actor(Intake *self, Chain *chain)
{
    const Actor *last = &chain->actor[chain->count - 1];
    PyObject *records = last->entry->records[PRINCIPAL], *next = NULL;
    PyObject *record = records == NULL ? NULL : get(records, last->id);
    if (record != NULL && PyDict_CheckExact(record)) {
        next = get(record, self->delegated_by);
        chain->is_known = chain->is_known || next != NULL;
    }
    Py_XDECREF(record);
    if (next == NULL && !PyErr_Occurred()) {
        int slot = last->entry->delegator;
        next = last->taken->count > 0 && slot >= 0 ? Py_XNewRef(last->taken->value[slot]) : get(last->entity, self->delegated_by);
    }
    return next;
}

/* Follows a chain from an actor on, of which it takes the reference; those from `first` on may not come again, and of
   them `most` are too many. 0, or -1 if the chain is anything but plain. */
static int
follow(Intake *self, PyObject *entity, PyObject *types, int first, int most, Chain *chain)
{
    while (entity != NULL) {
        if (chain->count == most) {
            Py_DECREF(entity);
            return -1;
        }
        const Actor *actor = &chain->actor[chain->count];
        if (add_actor(self, entity, types, NULL, chain) < 0) {
            return -1;
        }
        for (const Actor *other = &chain->actor[first]; other < actor; other++) {
            if (is_same_entity(actor->type, actor->id, other->type, other->id)) {
                return -1;
            }
        }
        types = actor->entry->own == Py_None ? types : actor->entry->own;
        entity = next_actor(self, chain);
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Everyone who must be allowed: 0, or -1 if any of it is anything but plain. */
static int
everyone(Intake *self, PyObject *const *given, const Taken *principal, Chain *chain)
{
    chain->count = chain->is_known = 0;
    if (add_actor(self, Py_NewRef(given[PRINCIPAL]), Py_None, principal, chain) < 0) {
        return -1;
    }
    if (self->own != Py_None && follow(self, next_actor(self, chain), self->own, 0, 1 + MAX_CHAIN, chain) < 0) {
        return -1;
    }
    chain->agents = chain->count;
    return follow(self, get(given[CONTEXT], self->agent), self->types, chain->agents, chain->agents + MAX_CHAIN, chain);
}

/* Whether the principal, the resource and the agents are entities that mention no other but by references that are apart,
   each agent the next, and nothing else mentions any: 1, 0 if that has to be looked at, or -1 with an exception. */
static int
only_agents(Intake *self, PyObject *const *given, const Taken *const *taken, PyObject *resource_id, const Chain *chain)
{
    /* What the principal and the world say of delegation is out of the ordinary. */
    if (chain->agents != 1 || chain->count == 1 || chain->is_known) {
        return 0;
    }
    PyObject *type = chain->actor[1].type;
    int found = only_refers(&self->look, given, given[ATTRIBUTES], taken, type);
    for (const Actor *agent = &chain->actor[1]; found == 1 && agent < &chain->actor[chain->count]; agent++) {
        if (agent->type != type && PyUnicode_Compare(agent->type, type) != 0) {
            return 0;
        }
        if (PyUnicode_Compare(agent->id, resource_id) == 0 || PyUnicode_Compare(agent->id, chain->actor[0].id) == 0) {
            return 0;
        }
        found = agent_refers(&self->look, &agent->entry->look, agent->entity, agent->taken, type);
    }
    return found;
}

/* Where a joined decision is kept that was asked for last. */
static size_t
place_of(const Chain *chain)
{
    size_t sum = 0;
    for (int i = 0; i < chain->count; i++) {
        sum = sum * 31 + ((size_t)chain->actor[i].decision >> 4);
    }
    return sum % LATEST;
}

/* Whether what is kept was joined of these very decisions. */
static int
is_of(PyObject *known, const Chain *chain)
{
    PyObject *all = known == NULL ? NULL : PyTuple_GET_ITEM(known, 0);
    if (all == NULL || !PyTuple_CheckExact(all) || PyTuple_GET_SIZE(all) != chain->count) {
        return 0;
    }
    for (int i = 0; i < chain->count; i++) {
        if (PyTuple_GET_ITEM(all, i) != chain->actor[i].decision) {
            return 0;
        }
    }
    return 1;
}

/* One decision for all of them. */
static PyObject *
join(Intake *self, const Chain *chain)
{
    size_t place = place_of(chain);
    if (is_of(self->latest[place], chain)) {
        return Py_NewRef(PyTuple_GET_ITEM(self->latest[place], 1));
    }
    PyObject *key = PyTuple_New(chain->count), *all, *result = NULL;
    for (int i = 0; key != NULL && i < chain->count; i++) {
        PyObject *identity = PyLong_FromVoidPtr(chain->actor[i].decision);
        if (identity == NULL) {
            Py_CLEAR(key);
            break;
        }
        PyTuple_SET_ITEM(key, i, identity);
    }
    if (key == NULL) {
        return NULL;
    }
    PyObject *known = get(self->joined, key);
    Py_DECREF(key);
    if (known != NULL && PyTuple_CheckExact(known) && PyTuple_GET_SIZE(known) == 2) {
        result = Py_NewRef(PyTuple_GET_ITEM(known, 1));
        /* It holds the decisions, so that nothing else can be where they are. */
        Py_XSETREF(self->latest[place], Py_NewRef(known));
    }
    Py_XDECREF(known);
    if (result == NULL && !PyErr_Occurred() && (all = PyTuple_New(chain->count)) != NULL) {
        for (int i = 0; i < chain->count; i++) {
            PyTuple_SET_ITEM(all, i, Py_NewRef(chain->actor[i].decision));
        }
        result = PyObject_CallOneArg(self->join, all);
        Py_DECREF(all);
    }
    return result;
}

/* Whether two entries want the same of a root. Names are interned: others are taken anew. */
static int
want_same(const Wanted *one, const Wanted *other)
{
    int slot = one->count == other->count ? one->count : 1;
    while (slot > 0 && one->name[slot - 1] == other->name[slot - 1]) {
        slot--;
    }
    return slot == 0;
}

/* The decision about one of the actors. */
static PyObject *
decide_for(Intake *self, const Actor *actor, PyObject *const *given, const Taken *const *own, PyObject *resource_id)
{
    Intake *entry = actor->entry;
    if (entry->members[RESOURCE] != self->members[RESOURCE]) {
        resource_id = NULL;
    }
    if (entry == self || want_same(&entry->wanted[RESOURCE], &self->wanted[RESOURCE])) {
        const Taken *taken[] = {actor->taken, own[RESOURCE]};
        return alone(entry, actor->entity, given, resource_id, taken);
    }
    Taken resource;
    const Taken *taken[] = {actor->taken, &resource};
    take(given[RESOURCE], entry->seen[RESOURCE], &entry->wanted[RESOURCE], &resource);
    PyObject *decision = alone(entry, actor->entity, given, resource_id, taken);
    release_taken(&resource);
    return decision;
}

/* The decision about the principal and all others. */
static PyObject *
together(Intake *self, PyObject *const *given, const Taken *const *own)
{
    Chain chain;
    PyObject *resource_id = NULL, *result = NULL;
    int found = everyone(self, given, own[PRINCIPAL], &chain) < 0 ? -1
                : !is_plain(self, RESOURCE, given[RESOURCE], own[RESOURCE], &resource_id) ? -1
                : only_agents(self, given, own, resource_id, &chain);
    if (found == 0) {
        found = is_single(&self->look, given, given[ATTRIBUTES], own);
    }
    for (int i = 0; found == 1 && i < chain.count; i++) {
        chain.actor[i].decision = decide_for(self, &chain.actor[i], given, own, resource_id);
        found = chain.actor[i].decision != NULL;
    }
    result = found == 1 ? join(self, &chain) : unusual();
    Py_XDECREF(resource_id);
    for (Actor *actor = chain.actor; actor < &chain.actor[chain.count]; actor++) {
        Py_XDECREF(actor->entity);
        Py_XDECREF(actor->type);
        Py_XDECREF(actor->id);
        Py_XDECREF(actor->decision);
        Py_XDECREF(actor->entry);
        release_taken(&actor->space);
    }
    return result;
}

/* Whether anybody but the principal must be allowed: 1, 0, or -1 with an exception. */
static int
has_others(Intake *self, PyObject *const *given)
{
    int found = PyDict_GET_SIZE(given[CONTEXT]) == 0 ? 0 : PyDict_Contains(given[CONTEXT], self->agent);
    if (found != 0 || self->own == Py_None) {
        return found;
    }
    found = PyDict_Contains(given[PRINCIPAL], self->delegated_by);
    if (found != 0 || self->records[PRINCIPAL] == NULL) {
        return found;
    }
    PyObject *id = get(given[PRINCIPAL], self->id);
    PyObject *record = id == NULL || !PyUnicode_CheckExact(id) ? NULL : get(self->records[PRINCIPAL], id);
    if (record != NULL && PyDict_CheckExact(record)) {
        found = PyDict_Contains(record, self->delegated_by);
    }
    Py_XDECREF(id);
    Py_XDECREF(record);
    return PyErr_Occurred() ? -1 : found;
}

/* Whether the arguments of a tool may be wrong, or what is said of where they came from. */
static int
is_refused(Intake *self, PyObject *const *given)
{
    if (self->check == NULL) {
        return 0;
    }
    PyObject *told = PyObject_CallFunctionObjArgs(self->check, given[RESOURCE], given[CONTEXT], NULL);
    int refused = told != Py_True;
    Py_XDECREF(told);
    return refused;
}

static PyObject *
intake_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Intake *self = (Intake *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    if (count < 3 || count > 6 || (names != NULL && PyTuple_GET_SIZE(names) != 0)) {
        PyErr_SetString(PyExc_TypeError, "takes a principal, a resource, a context, attributes, approvals and whether it is alone");
        return NULL;
    }
    PyObject *given[PARTS] = {args[0], args[1], args[2]};
    given[ATTRIBUTES] = count > 3 ? args[3] : self->nothing;
    given[APPROVED] = count > 4 ? args[4] : Py_None;
    if (!PyDict_CheckExact(given[PRINCIPAL]) || !PyDict_CheckExact(given[RESOURCE])) {
        return unusual();
    }
    if (given[CONTEXT] == Py_None) {
        given[CONTEXT] = self->nothing;
    }
    else if (!PyDict_CheckExact(given[CONTEXT]) || all_in(given[CONTEXT], self->circumstances, self->seen[CONTEXT]) != 1) {
        return unusual();
    }
    Taken space[2];
    const Taken *taken[] = {&space[PRINCIPAL], &space[RESOURCE]};
    PyObject *decision = NULL;
    for (int root = PRINCIPAL; root <= RESOURCE; root++) {
        take(given[root], self->seen[root], &self->wanted[root], &space[root]);
    }
    int is_alone = count > 5 && args[5] == Py_True;
    int others = is_refused(self, given) ? -1 : is_alone ? 0 : has_others(self, given);
    if (others == 1) {
        decision = together(self, given, taken);
    }
    else if (others == 0 && (is_alone || is_single(&self->look, given, given[ATTRIBUTES], taken) == 1)) {
        decision = alone(self, given[PRINCIPAL], given, NULL, taken);
    }
    else {
        unusual();
    }
    release_taken(&space[PRINCIPAL]);
    release_taken(&space[RESOURCE]);
    return decision;
}

static int
fill_path(Intake *self, Path *path, PyObject *given)
{
    PyObject *function, *parts, *reads;
    if (given == Py_None) {
        return 0;
    }
    if (!PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "OO!O!", &function, &PyBytes_Type, &parts, &PyTuple_Type, &reads)) {
        goto wrong;
    }
    Py_ssize_t size = PyTuple_GET_SIZE(reads);
    if (PyBytes_GET_SIZE(parts) > PARTS || size > LIMIT) {
        goto wrong;
    }
    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(parts); i++) {
        path->part[i] = (unsigned char)PyBytes_AS_STRING(parts)[i];
        if (path->part[i] >= PARTS) {
            goto wrong;
        }
        if (path->part[i] == KNOWN_PRINCIPAL || path->part[i] == KNOWN_RESOURCE) {
            path->known[path->part[i] - KNOWN_PRINCIPAL] = 1;
        }
    }
    path->parts = PyBytes_GET_SIZE(parts);
    path->read = PyMem_Calloc((size_t)size + 1, sizeof(Read));
    if (path->read == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        Read *read = &path->read[i];
        PyObject *name, *otherwise;
        if (!PyTuple_Check(PyTuple_GET_ITEM(reads, i))) {
            goto wrong;
        }
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(reads, i), "iOCO", &read->root, &name, &read->kind, &otherwise)) {
            return -1;
        }
        int above = read->kind == 'a';
        if ((read->root != PRINCIPAL && read->root != RESOURCE) ||
            (above ? otherwise == Py_None : !PyUnicode_CheckExact(name))) {
            goto wrong;
        }
        /* Most dicts have interned keys, which are found without comparing texts. */
        read->name = Py_NewRef(name);
        if (!above) {
            PyUnicode_InternInPlace(&read->name);
        }
        read->slot = above ? -1 : want(&self->wanted[read->root], read->name);
        read->otherwise = otherwise == Py_None ? NULL : Py_NewRef(otherwise);
        path->reads = i + 1;
        path->known[read->root] |= self->records[read->root] != NULL;
    }
    path->looks_up = path->known[PRINCIPAL] || path->known[RESOURCE];
    path->function = Py_NewRef(function);
    return 0;
wrong:
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "a path is a function, up to 9 parts and up to 64 reads");
    }
    return -1;
}

static PyObject *
or_null(PyObject *given)
{
    return given == Py_None ? NULL : Py_NewRef(given);
}

static PyObject *
intake_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *any, *named, *records[2], *rows[2], *find[2], *nothing, *entries, *types, *own, *joined, *join,
        *circumstances, *members[2], *look, *apart, *check, *fallback;
    if ((keywords != NULL && PyDict_GET_SIZE(keywords) != 0) ||
        !PyArg_ParseTuple(args, "OO(OO)(OO)(OO)O!(O!OOO!O)(O!O!O!)O!OOO", &any, &named, &records[0], &records[1], &rows[0],
                          &rows[1], &find[0], &find[1], &PyDict_Type, &nothing, &PyDict_Type, &entries, &types, &own,
                          &PyDict_Type, &joined, &join, &PySet_Type,
                          &circumstances, &PySet_Type, &members[0], &PySet_Type, &members[1], &PyTuple_Type, &look, &apart, &check,
                          &fallback)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "takes no keywords");
    }
    Intake *self = (Intake *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = intake_call;
    self->nothing = Py_NewRef(nothing);
    self->id = PyUnicode_InternFromString("id");
    self->type = PyUnicode_InternFromString("type");
    self->agent = PyUnicode_InternFromString("agent");
    self->delegated_by = PyUnicode_InternFromString("delegated_by");
    self->entries = Py_NewRef(entries);
    self->types = Py_NewRef(types);
    self->own = Py_NewRef(own);
    self->joined = Py_NewRef(joined);
    self->join = Py_NewRef(join);
    self->circumstances = Py_NewRef(circumstances);
    int wrong = self->id == NULL || self->type == NULL || self->agent == NULL || self->delegated_by == NULL ||
                (types != Py_None && !PyFrozenSet_Check(types)) || (own != Py_None && !PyFrozenSet_Check(own));
    for (int root = PRINCIPAL; root <= RESOURCE; root++) {
        self->records[root] = or_null(records[root]);
        self->rows[root] = or_null(rows[root]);
        self->find[root] = or_null(find[root]);
        self->members[root] = Py_NewRef(members[root]);
        wrong = wrong || (self->records[root] != NULL && !PyDict_CheckExact(self->records[root])) ||
                (self->rows[root] != NULL && (!PyDict_CheckExact(self->rows[root]) || self->find[root] == NULL));
    }
    self->check = or_null(check);
    self->fallback = or_null(fallback);
    wrong = wrong || fill_look(&self->look, look, apart) < 0;
    for (int root = PRINCIPAL; !wrong && root <= RESOURCE; root++) {
        Wanted *wanted = &self->wanted[root];
        PyObject *own = self->look.own[root];
        wrong = want(wanted, self->type) != TYPE || want(wanted, self->id) != ID;
        while (own != NULL && self->look.placed[root] < PyTuple_GET_SIZE(own) &&
               want(wanted, PyTuple_GET_ITEM(own, self->look.placed[root])) == OWN + self->look.placed[root]) {
            self->look.placed[root]++;
        }
    }
    self->delegator = wrong ? -1 : want(&self->wanted[PRINCIPAL], self->delegated_by);
    wrong = wrong || fill_path(self, &self->any, any) < 0 || fill_path(self, &self->named, named) < 0;
    if (wrong || self->any.function == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "records and rows are dicts, and rows can be found");
        }
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
intake_traverse(PyObject *object, visitproc visit, void *arg)
{
    Intake *self = (Intake *)object;
    Path *paths[] = {&self->named, &self->any};
    Py_VISIT(Py_TYPE(object));
    for (int w = 0; w < 2; w++) {
        Py_VISIT(paths[w]->function);
        for (Py_ssize_t i = 0; i < paths[w]->reads; i++) {
            Py_VISIT(paths[w]->read[i].name);
            Py_VISIT(paths[w]->read[i].otherwise);
        }
    }
    for (int root = PRINCIPAL; root <= RESOURCE; root++) {
        Py_VISIT(self->records[root]);
        Py_VISIT(self->rows[root]);
        Py_VISIT(self->find[root]);
        Py_VISIT(self->members[root]);
    }
    Py_VISIT(self->nothing);
    Py_VISIT(self->entries);
    Py_VISIT(self->types);
    Py_VISIT(self->own);
    Py_VISIT(self->last_type);
    Py_VISIT(self->last_types);
    Py_VISIT(self->last_entry);
    for (int i = 0; i < LATEST; i++) {
        Py_VISIT(self->latest[i]);
    }
    Py_VISIT(self->joined);
    Py_VISIT(self->join);
    Py_VISIT(self->circumstances);
    Py_VISIT(self->check);
    Py_VISIT(self->fallback);
    return visit_look(&self->look, visit, arg);
}

/* Of two entries each may be what the other was asked for last. */
static int
intake_clear(PyObject *object)
{
    Intake *self = (Intake *)object;
    Py_CLEAR(self->last_type);
    Py_CLEAR(self->last_types);
    Py_CLEAR(self->last_entry);
    for (int i = 0; i < LATEST; i++) {
        Py_CLEAR(self->latest[i]);
    }
    return 0;
}

static void
intake_dealloc(PyObject *object)
{
    Intake *self = (Intake *)object;
    Path *paths[] = {&self->named, &self->any};
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    intake_clear(object);
    for (int w = 0; w < 2; w++) {
        for (Py_ssize_t i = 0; i < paths[w]->reads; i++) {
            Py_XDECREF(paths[w]->read[i].name);
            Py_XDECREF(paths[w]->read[i].otherwise);
        }
        PyMem_Free(paths[w]->read);
        Py_XDECREF(paths[w]->function);
    }
    for (int root = PRINCIPAL; root <= RESOURCE; root++) {
        Py_XDECREF(self->records[root]);
        Py_XDECREF(self->rows[root]);
        Py_XDECREF(self->find[root]);
        Py_XDECREF(self->members[root]);
    }
    for (int root = PRINCIPAL; root <= CONTEXT; root++) {
        for (int i = 0; i < FORMS; i++) {
            forget_form(&self->seen[root][i]);
        }
    }
    for (int root = PRINCIPAL; root <= RESOURCE; root++) {
        while (self->wanted[root].count > 0) {
            Py_DECREF(self->wanted[root].name[--self->wanted[root].count]);
        }
    }
    Py_XDECREF(self->nothing);
    Py_XDECREF(self->entries);
    Py_XDECREF(self->types);
    Py_XDECREF(self->own);
    Py_XDECREF(self->joined);
    Py_XDECREF(self->join);
    Py_XDECREF(self->circumstances);
    Py_XDECREF(self->check);
    Py_XDECREF(self->fallback);
    clear_look(&self->look);
    Py_XDECREF(self->id);
    Py_XDECREF(self->type);
    Py_XDECREF(self->agent);
    Py_XDECREF(self->delegated_by);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMemberDef intake_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Intake, vectorcall), READONLY, NULL},
    {NULL},
};

static PyType_Slot intake_slots[] = {
    {Py_tp_doc, "Checks a request, takes it apart, and gives the decision of a generated function about it."},
    {Py_tp_new, intake_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, intake_traverse},
    {Py_tp_clear, intake_clear},
    {Py_tp_dealloc, intake_dealloc},
    {Py_tp_members, intake_members},
    {0, NULL},
};

PyType_Spec intake_spec = {
    .name = "policyengine.compile.native.Intake",
    .basicsize = sizeof(Intake),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = intake_slots,
};
