/* What a decision in Python spends most of its time on, in C: asking of every value whether it is what it should be.

   None of the types here decides anything. Where a request is not as nearly all are, they raise, or hand over to
   the Python function that was given to them for that. The Python that does the same where this has not been built is
   named in `__init__.py`.

   Everything that is taken out of a dict is held until the call is over: a key may be of a class whose comparison is
   Python code, and that may change the dict. */

#ifndef POLICYENGINE_NATIVE_H
#define POLICYENGINE_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

/* Of what the types take; `__init__.py` uses no other than the one it knows. */
#define VERSION 17

extern PyType_Spec intake_spec;
extern PyType_Spec ancestors_among_spec;
extern PyType_Spec route_spec;
extern PyType_Spec decider_spec;
extern PyType_Spec shortcut_spec;

/* The types that others need, and the names of what every entity has. */
typedef struct {
    PyObject *route, *decider;
    PyObject *type, *id;
} State;

/* `MentionCheck` and `Apart` of `mention_check.py`, with names that are looked up. Without the latter `apart` is NULL. `last`
   is the type of a reference that was found in it last: comparing pointers is faster than looking it up. */
typedef struct {
    PyObject *single, *places, *roots, *through, *members;
    int acts;
    PyObject *own[2], *apart, *last;
    /* So many of each `own` are taken at once, from the slot OWN on. */
    Py_ssize_t placed[2];
    int alike;
    PyObject *type, *id, *parents, *delegated_by, *agent;
} Look;

/* What is taken of a principal or a resource at once, by slots: its type, its id, what mentions others, and what is read of
   it. All of it is held. NULL is what is not there, and without a count nothing was taken. */
enum { TYPE, ID, OWN, SLOTS = 32 };

typedef struct {
    int count;
    PyObject *value[SLOTS];
} Taken;

int fill_look(Look *look, PyObject *given, PyObject *apart);
int visit_look(const Look *look, visitproc visit, void *arg);
void clear_look(Look *look);

/* Whether a principal, a resource and a context mention no entity twice: 1, 0, or -1 with an exception. */
int is_single(Look *look, PyObject *const *given, PyObject *attributes, const Taken *const *taken);
/* The same, as far as it is told at once; of agents, which are of the given type, nothing is looked at. Where an agent comes
   in, its own references are to be asked about as well. */
int only_refers(Look *look, PyObject *const *given, PyObject *attributes, const Taken *const *taken, PyObject *agents);
int agent_refers(Look *look, const Look *own, PyObject *agent, const Taken *taken, PyObject *agents);

PyObject *plain_texts(PyObject *module, PyObject *value);
PyObject *plain_pairs(PyObject *module, PyObject *value);
PyObject *plain_document(PyObject *module, PyObject *const *given, Py_ssize_t count);

/* A new reference to what is under a key of a dict; NULL if nothing is, or with an exception. */
static inline PyObject *
get(PyObject *dict, PyObject *key)
{
    PyObject *value = PyDict_GET_SIZE(dict) == 0 ? NULL : PyDict_GetItemWithError(dict, key);
    Py_XINCREF(value);
    return value;
}

/* What a dict has under `type` and `id`: new references, or NULL. Most have these very keys first, in this order; then
   nothing is looked up. */
static inline void
get_identity(PyObject *dict, PyObject *type_key, PyObject *id_key, PyObject **type, PyObject **id)
{
    PyObject *key, *next, *value;
    Py_ssize_t i = 0;
    if (PyDict_Next(dict, &i, &key, type) && key == type_key && PyDict_Next(dict, &i, &next, &value) && next == id_key) {
        Py_INCREF(*type);
        *id = Py_NewRef(value);
        return;
    }
    *type = get(dict, type_key);
    *id = *type == NULL ? NULL : get(dict, id_key);
}

/* Whether two pairs of texts name one entity. */
static inline int
is_same_entity(PyObject *type, PyObject *id, PyObject *other_type, PyObject *other_id)
{
    return PyUnicode_Compare(id, other_id) == 0 && PyUnicode_Compare(type, other_type) == 0;
}

#endif
