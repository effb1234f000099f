/* Whether a request mentions no entity twice: `mention_check.py` in C, for plain requests. */

#include "native.h"

/* Of requests that mention more than this, Python tells. */
#define MOST 24

typedef struct {
    PyObject *type, *id;
} Name;

/* The mentions that say something of their entity, and those that only name it. Everything is held until the end. */
typedef struct {
    int full, named;
    PyObject *entity[MOST];
    Name full_name[MOST], named_name[MOST];
} Seen;

static int
same(const Name *one, const Name *other)
{
    return is_same_entity(one->type, one->id, other->type, other->id);
}

/* Whether all names are in a set: 1, 0, or -1 with an exception. */
static int
known_names(PyObject *dict, PyObject *names)
{
    PyObject *key, *value;
    for (Py_ssize_t i = 0; PyDict_Next(dict, &i, &key, &value);) {
        int found = PyUnicode_CheckExact(key) ? PySet_Contains(names, key) : 0;
        if (found != 1) {
            return found;
        }
    }
    return 1;
}

/* Notes a mention: 1, 0 if Python has to tell, or -1 with an exception. One that only names its entity matters where
   rules read through it, or `always`; with `declared`, its names need not be looked at. */
static int
note(const Look *look, PyObject *value, int always, int declared, Seen *seen)
{
    if (!PyDict_CheckExact(value)) {
        return 0;
    }
    Name name;
    get_identity(value, look->type, look->id, &name.type, &name.id);
    int result = name.id == NULL || !PyUnicode_CheckExact(name.type) || !PyUnicode_CheckExact(name.id)
                     ? 0 : PyDict_Contains(look->places, name.type);
    if (result == 1 && PyDict_GET_SIZE(value) == 2) {
        int matters = always ? 1 : PySet_Contains(look->through, name.type);
        if (matters == 1 && seen->named < MOST) {
            seen->named_name[seen->named++] = name;
            return 1;
        }
        result = matters == 1 ? 0 : matters < 0 ? -1 : 1;
    }
    else if (result == 1) {
        PyObject *members = declared ? NULL : get(look->members, name.type);
        result = declared ? 1 : members == NULL ? 0 : known_names(value, members);
        Py_XDECREF(members);
        if (result == 1 && seen->full < MOST) {
            seen->entity[seen->full] = Py_NewRef(value);
            seen->full_name[seen->full++] = name;
            return 1;
        }
        result = result < 0 ? -1 : 0;
    }
    Py_XDECREF(name.type);
    Py_XDECREF(name.id);
    return PyErr_Occurred() ? -1 : result;
}

/* Notes what an attribute mentions. */
static int
note_value(const Look *look, PyObject *value, int always, Seen *seen)
{
    if (!PyList_CheckExact(value)) {
        return note(look, value, always, 0, seen);
    }
    int result = 1;
    for (Py_ssize_t i = 0; result == 1 && i < PyList_GET_SIZE(value); i++) {
        /* Held, as looking at it may run code of the host that changes the list. */
        PyObject *item = Py_NewRef(PyList_GET_ITEM(value, i));
        result = note(look, item, always, 0, seen);
        Py_DECREF(item);
    }
    return result;
}

static int
note_all(const Look *look, PyObject *const *given, Seen *seen)
{
    for (int root = 0; root < 2; root++) {
        int result = note(look, given[root], 1, 1, seen);
        if (result != 1) {
            return result;
        }
    }
    Py_ssize_t roots = PyDict_GET_SIZE(given[2]) == 0 ? 0 : PyTuple_GET_SIZE(look->roots);
    for (Py_ssize_t i = 0; i < roots; i++) {
        PyObject *value = get(given[2], PyTuple_GET_ITEM(look->roots, i));
        int result = value == NULL ? 1 : note(look, value, 0, 0, seen);
        Py_XDECREF(value);
        if (result != 1 || PyErr_Occurred()) {
            return PyErr_Occurred() ? -1 : result;
        }
    }
    for (int n = 0; n < seen->full; n++) {
        PyObject *places = PyDict_GetItemWithError(look->places, seen->full_name[n].type);
        if (places == NULL || !PyTuple_CheckExact(places)) {
            return PyErr_Occurred() ? -1 : 0;
        }
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(places); i++) {
            PyObject *name = PyTuple_GET_ITEM(places, i);
            PyObject *value = get(seen->entity[n], name);
            int always = name == look->parents || name == look->delegated_by;
            int result = value == NULL ? 1 : note_value(look, value, always, seen);
            Py_XDECREF(value);
            if (result != 1 || PyErr_Occurred()) {
                return PyErr_Occurred() ? -1 : result;
            }
        }
    }
    /* Each with each: for 24 that is quicker than a set, and nothing is allocated. Two that only name an entity say nothing
       of it that could differ. */
    for (int n = 0; n < seen->full; n++) {
        for (int other = 0; other < n; other++) {
            if (same(&seen->full_name[n], &seen->full_name[other])) {
                return 0;
            }
        }
        for (int other = 0; other < seen->named; other++) {
            if (same(&seen->full_name[n], &seen->named_name[other])) {
                return 0;
            }
        }
    }
    return 1;
}

/* ---- requests that only refer to others ---- */

/* Whether a type is one of those apart, and not that of agents, which is NULL where there are none: 1, 0, or -1 with an
   exception. */
static int
is_apart(Look *look, PyObject *type, PyObject *agents)
{
    int found = 1;
    if (type != look->last) {
        found = PyUnicode_CheckExact(type) ? PySet_Contains(look->apart, type) : 0;
        if (found == 1) {
            Py_XSETREF(look->last, Py_NewRef(type));
        }
    }
    return found == 1 && agents != NULL ? PyUnicode_Compare(type, agents) != 0 : found;
}

/* Whether a value is a type and an id and no more, of a type that is apart: 1, 0, or -1 with an exception. */
static int
is_reference(Look *look, PyObject *value, PyObject *agents)
{
    if (!PyDict_CheckExact(value) || PyDict_GET_SIZE(value) != 2) {
        return 0;
    }
    PyObject *type, *id;
    get_identity(value, look->type, look->id, &type, &id);
    int found = PyErr_Occurred() ? -1 : id == NULL || !PyUnicode_CheckExact(id) ? 0 : is_apart(look, type, agents);
    Py_XDECREF(type);
    Py_XDECREF(id);
    return found;
}

static int
are_references(Look *look, PyObject *value, PyObject *agents)
{
    if (!PyList_CheckExact(value)) {
        return is_reference(look, value, agents);
    }
    int found = 1;
    for (Py_ssize_t i = 0; found == 1 && i < PyList_GET_SIZE(value); i++) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(value, i));
        found = is_reference(look, item, agents);
        Py_DECREF(item);
    }
    return found;
}

/* Whether all that an entity mentions are references, by what `own` says of the root that it is taken as; one attribute may
   be left out. */
static int
entity_refers(Look *look, const Look *own, int root, PyObject *entity, const Taken *taken, PyObject *agents, PyObject *but)
{
    int found = 1;
    for (Py_ssize_t i = 0; found == 1 && PyDict_GET_SIZE(entity) > 2 && i < PyTuple_GET_SIZE(own->own[root]); i++) {
        PyObject *name = PyTuple_GET_ITEM(own->own[root], i);
        if (name == but) {
            continue;
        }
        PyObject *value = taken->count > 0 && i < own->placed[root] ? Py_XNewRef(taken->value[OWN + i]) : get(entity, name);
        found = value != NULL ? are_references(look, value, agents) : PyErr_Occurred() ? -1 : 1;
        Py_XDECREF(value);
    }
    return found;
}

int
agent_refers(Look *look, const Look *own, PyObject *agent, const Taken *taken, PyObject *agents)
{
    /* An agent is a principal to its own entry. Whom it got its task from is an agent as well. */
    return own->apart == NULL ? 0 : entity_refers(look, own, 0, agent, taken, agents, look->delegated_by);
}

/* Whether the principal and the resource are two entities that mention no other but by references that are apart, and
   nothing else mentions any: 1, 0 if that has to be looked at, or -1 with an exception. */
int
only_refers(Look *look, PyObject *const *given, PyObject *attributes, const Taken *const *taken, PyObject *agents)
{
    if (look->apart == NULL || (look->acts && PyDict_CheckExact(attributes) && PyDict_GET_SIZE(attributes) != 0)) {
        return 0;
    }
    for (Py_ssize_t i = 0; PyDict_GET_SIZE(given[2]) != 0 && i < PyTuple_GET_SIZE(look->roots); i++) {
        PyObject *name = PyTuple_GET_ITEM(look->roots, i);
        int there = agents != NULL && name == look->agent ? 0 : PyDict_Contains(given[2], name);
        if (there != 0) {
            return there < 0 ? -1 : 0;
        }
    }
    if (look->alike) {
        PyObject *one = get(given[0], look->id), *other = one == NULL ? NULL : get(given[1], look->id);
        int differ = other != NULL && PyUnicode_CheckExact(one) && PyUnicode_CheckExact(other)
                         ? PyUnicode_Compare(one, other) != 0 : 0;
        Py_XDECREF(one);
        Py_XDECREF(other);
        if (!differ) {
            return PyErr_Occurred() ? -1 : 0;
        }
    }
    int found = 1;
    for (int root = 0; found == 1 && root < 2; root++) {
        found = entity_refers(look, look, root, given[root], taken[root], agents, NULL);
    }
    return found;
}

int
is_single(Look *look, PyObject *const *given, PyObject *attributes, const Taken *const *taken)
{
    int plain = only_refers(look, given, attributes, taken, NULL);
    if (plain != 0) {
        return plain;
    }
    Seen seen;
    seen.full = seen.named = 0;
    /* What an action is like mentions entities so rarely that only Python looks there. */
    int result = look->acts && PyDict_CheckExact(attributes) && PyDict_GET_SIZE(attributes) != 0
                     ? 0 : note_all(look, given, &seen);
    while (seen.full > 0) {
        Py_DECREF(seen.entity[--seen.full]);
        Py_DECREF(seen.full_name[seen.full].type);
        Py_DECREF(seen.full_name[seen.full].id);
    }
    while (seen.named > 0) {
        Py_DECREF(seen.named_name[--seen.named].type);
        Py_DECREF(seen.named_name[seen.named].id);
    }
    if (result != 0) {
        return result;
    }
    PyObject *told = PyObject_CallFunctionObjArgs(look->single, given[0], given[1], given[2], attributes, NULL);
    result = told == NULL ? -1 : told == Py_True;
    Py_XDECREF(told);
    return result;
}

/* ---- what it goes by ---- */

int
fill_look(Look *look, PyObject *given, PyObject *apart)
{
    PyObject *single, *places, *roots, *through, *members, *own[2], *types;
    if (!PyArg_ParseTuple(given, "OO!O!O!O!p", &single, &PyDict_Type, &places, &PyTuple_Type, &roots, &PyFrozenSet_Type,
                          &through, &PyDict_Type, &members, &look->acts)) {
        return -1;
    }
    if (apart != Py_None) {
        if (!PyArg_ParseTuple(apart, "O!O!O!p", &PyTuple_Type, &own[0], &PyTuple_Type, &own[1], &PyFrozenSet_Type, &types,
                              &look->alike)) {
            return -1;
        }
        look->own[0] = Py_NewRef(own[0]);
        look->own[1] = Py_NewRef(own[1]);
        look->apart = Py_NewRef(types);
    }
    look->single = Py_NewRef(single);
    look->places = Py_NewRef(places);
    look->roots = Py_NewRef(roots);
    look->through = Py_NewRef(through);
    look->members = Py_NewRef(members);
    look->type = PyUnicode_InternFromString("type");
    look->id = PyUnicode_InternFromString("id");
    look->parents = PyUnicode_InternFromString("parents");
    look->delegated_by = PyUnicode_InternFromString("delegated_by");
    look->agent = PyUnicode_InternFromString("agent");
    return look->agent && look->type && look->id && look->parents && look->delegated_by ? 0 : -1;
}

int
visit_look(const Look *look, visitproc visit, void *arg)
{
    Py_VISIT(look->single);
    Py_VISIT(look->places);
    Py_VISIT(look->roots);
    Py_VISIT(look->through);
    Py_VISIT(look->members);
    Py_VISIT(look->own[0]);
    Py_VISIT(look->own[1]);
    Py_VISIT(look->apart);
    return 0;
}

void
clear_look(Look *look)
{
    Py_CLEAR(look->single);
    Py_CLEAR(look->places);
    Py_CLEAR(look->roots);
    Py_CLEAR(look->through);
    Py_CLEAR(look->members);
    Py_CLEAR(look->own[0]);
    Py_CLEAR(look->own[1]);
    Py_CLEAR(look->apart);
    Py_CLEAR(look->last);
    Py_CLEAR(look->type);
    Py_CLEAR(look->id);
    Py_CLEAR(look->parents);
    Py_CLEAR(look->delegated_by);
    Py_CLEAR(look->agent);
}
