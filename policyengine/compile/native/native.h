/* What a decision in Python spends most of its time on, in C: asking of every value whether it is what it should be.

   Neither of the two types here decides anything. Where a request is not as nearly all are, they raise, or hand over to
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
#define VERSION 8

extern PyType_Spec intake_spec;
extern PyType_Spec above_spec;

/* `mentioned.Look`, and whether the action's attributes can mention entities; with names that are looked up. */
typedef struct {
    PyObject *single, *places, *roots, *through, *members;
    int acts;
    PyObject *type, *id, *parents, *delegated_by;
} Look;

int fill_look(Look *look, PyObject *given);
int visit_look(const Look *look, visitproc visit, void *arg);
void clear_look(Look *look);

/* Whether a principal, a resource and a context mention no entity twice: 1, 0, or -1 with an exception. */
int is_single(const Look *look, PyObject *const *given, PyObject *attributes);

PyObject *plain_texts(PyObject *module, PyObject *value);

/* A new reference to what is under a key of a dict; NULL if nothing is, or with an exception. */
static inline PyObject *
get(PyObject *dict, PyObject *key)
{
    PyObject *value = PyDict_GET_SIZE(dict) == 0 ? NULL : PyDict_GetItemWithError(dict, key);
    Py_XINCREF(value);
    return value;
}

#endif
